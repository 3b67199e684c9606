"""A film that shows other films side by side, a row for each policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw

from la4vla.evaluation.video import LINE_PX, lettering, wrapped, write_film

NAME_PX = 120  # the column of names
GAP_PX = 8
GROUND = (24, 24, 24)

Row = tuple[str, Sequence[str | Path]]


def write_grid(path: str | Path, rows: Sequence[Row], height_px: int = 320, widest_px: int = 1920) -> Path:
    """Write a film that shows other films side by side; the short ones rest on their last frame.

    Every place is as wide as the films of its column are, so that nothing but a missing film leaves a place empty.

    Args:
        path: Where to.
        rows: A name and MP4 files each. Frames per second are the first film's.
        height_px: Height of the highest film; lower where the grid would become wider than ``widest_px``.
        widest_px: Width that the grid must not exceed.

    Raises:
        ValueError: If there are no films.
    """
    first = next((film for _, films in rows for film in films), None)
    if first is None:
        raise ValueError("There are no films to show side by side; evaluate with videos=1 or more.")
    reels = [[list(imageio.imiter(film, plugin="FFMPEG")) for film in films] for _, films in rows]
    highest = max(reel[0].shape[0] for row in reels for reel in row)
    columns = max(map(len, reels))
    widths = [max(row[column][0].shape[1] for row in reels if column < len(row)) for column in range(columns)]
    room = widest_px - NAME_PX - GAP_PX * columns
    scale = min(height_px / highest, room / sum(widths))
    sizes = [(int(width * scale), int(highest * scale)) for width in widths]
    names = [_name(name, sizes[0][1]) for name, _ in rows]
    frames = []
    for index in range(max(len(reel) for row in reels for reel in row)):
        shown = [[reel[min(index, len(reel) - 1)] for reel in row] for row in reels]
        frames.append(_even(np.concatenate([_row(*named, sizes) for named in zip(names, shown, strict=True)])))
    return write_film(path, frames, float(imageio.immeta(first, plugin="FFMPEG")["fps"]))


def _row(name: np.ndarray, frames: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """The name, and every frame fitted into its place."""
    width = NAME_PX + sum(GAP_PX + width for width, _ in sizes)
    row = Image.new("RGB", (width, sizes[0][1] + GAP_PX), GROUND)
    row.paste(Image.fromarray(name), (0, 0))
    left = NAME_PX
    for (width, height), frame in zip(sizes, frames, strict=False):
        image = Image.fromarray(frame)
        factor = min(width / image.width, height / image.height)
        fitted = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
        row.paste(fitted, (left + (width - fitted.width) // 2, 0))
        left += width + GAP_PX
    return np.asarray(row)


def _name(name: str, height_px: int) -> np.ndarray:
    """The column of one row's name, ``(height_px, NAME_PX, 3)``."""
    column = Image.new("RGB", (NAME_PX, height_px), GROUND)
    lines = wrapped(name, NAME_PX - 2 * GAP_PX)
    top = (height_px - LINE_PX * len(lines)) // 2
    draw, font = ImageDraw.Draw(column), lettering()
    for number, line in enumerate(lines):
        draw.text((GAP_PX, top + LINE_PX * number), line, "white", font)
    return np.asarray(column)


def _even(frame: np.ndarray) -> np.ndarray:
    """``frame`` with a last row and column repeated where their number is odd, which video codecs do not take."""
    odd = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
