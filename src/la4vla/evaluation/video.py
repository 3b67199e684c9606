"""Films of episodes: one MP4 each, and many side by side."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from la4vla.data.files import written_whole
from la4vla.rollout.trajectory import Trajectory

SIDE_PX = 320  # policies look at 64 pixels, people do not
BORDER_PX = 6
CAPTION_PX = 26  # together with the side and the borders an even number, which video codecs want
COLOURS = {None: (110, 110, 110), True: (40, 160, 70), False: (200, 50, 50)}
FINAL_FRAMES = 12  # the last frame stays for a moment, framed in the outcome's colour


class Films:
    """A watcher that writes each filmed episode to ``folder/<task>_<seed>.mp4`` and lets its frames go.

    Args:
        folder: Made where missing, unless there is nothing to write.
        fps: Frames per second.
    """

    def __init__(self, folder: str | Path, fps: float) -> None:
        self.folder = Path(folder)
        self.fps = fps

    def __call__(self, trajectory: Trajectory) -> None:
        """Write the film of one finished episode, if it was filmed.

        Raises:
            OSError: If the disk is full; the sentence says what can be done.
        """
        if not trajectory.frames:
            return
        path = self.folder / f"{trajectory.task}_{trajectory.seed}.mp4"
        try:
            write_film(path, list(dressed(trajectory)), self.fps)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            message = f"The disk filled up while writing the film {path}; free some space, or film less (videos=0)."
            raise OSError(error.errno, message) from error
        trajectory.frames.clear()  # the films of fifty tasks would fill the memory
        trajectory.frame_steps.clear()


def dressed(trajectory: Trajectory) -> Iterator[np.ndarray]:
    """The frames of one episode enlarged, with a caption and a border; green or red at the end."""
    last = len(trajectory.frames) - 1
    for index, (frame, step) in enumerate(zip(trajectory.frames, trajectory.frame_steps, strict=True)):
        dress = _dress(frame, trajectory, step, trajectory.success if index == last else None)
        yield from [dress] * (FINAL_FRAMES if index == last else 1)


def write_film(path: str | Path, frames: Sequence[np.ndarray], fps: float) -> Path:
    """Write ``frames`` ``(h, w, 3)`` uint8, sides even, to the MP4 file ``path``, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    film = imageio.imwrite("<bytes>", list(frames), extension=".mp4", plugin="FFMPEG", fps=fps, macro_block_size=2)
    with written_whole(path) as file:
        file.write(film)
    return path


def write_grid(
    path: str | Path, rows: Sequence[Sequence[str | Path]], side_px: int = 200, names: Sequence[str] = ()
) -> Path:
    """Write a film that shows other films side by side; the short ones rest on their last frame.

    Args:
        path: Where to.
        rows: MP4 files, row by row; a short row is filled up with black. Frames per second are the first film's.
        side_px: Height of each, an even number; they are as wide as the first film's shape asks.
        names: What each row is called, in a line above it; none leaves the lines out.

    Raises:
        ValueError: If there are no films.
    """
    first = next((film for row in rows for film in row), None)
    if first is None:
        raise ValueError("There are no films to show side by side; evaluate with videos=1 or more.")
    columns = max(map(len, rows))
    facts = imageio.immeta(first, plugin="FFMPEG")
    width, height = facts["size"]
    size = (round(side_px * width / height / 2) * 2, side_px)
    black = [np.zeros((size[1], size[0], 3), dtype=np.uint8)]
    lines = [_line(name, size[0] * columns) for name in names]
    reels = [[_reel(film, size) for film in row] + [black] * (columns - len(row)) for row in rows]
    frames = []
    for index in range(max(len(reel) for row in reels for reel in row)):
        shown = [np.concatenate([reel[min(index, len(reel) - 1)] for reel in row], axis=1) for row in reels]
        if lines:
            shown = [part for pair in zip(lines, shown, strict=True) for part in pair]
        frames.append(np.concatenate(shown, axis=0))
    return write_film(path, frames, float(facts["fps"]))


def _reel(film: str | Path, size: tuple[int, int]) -> list[np.ndarray]:
    return [_fitted(frame, size) for frame in imageio.imiter(film, plugin="FFMPEG")]


def _fitted(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``frame`` within a box of ``size``, width first, black around it."""
    image = Image.fromarray(frame)
    image.thumbnail(size, Image.Resampling.BICUBIC)
    box = Image.new("RGB", size)
    box.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return np.asarray(box)


def _line(name: str, width: int) -> np.ndarray:
    """``name`` in a line of text over the whole width."""
    line = Image.new("RGB", (width, CAPTION_PX), COLOURS[None])
    ImageDraw.Draw(line).text((BORDER_PX, CAPTION_PX // 2), name, "white", ImageFont.load_default(13), "lm")
    return np.asarray(line)


def _dress(frame: np.ndarray, trajectory: Trajectory, step: int, outcome: bool | None) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = SIDE_PX / height
    size = (round(width * scale / 2) * 2, SIDE_PX)
    canvas = Image.new("RGB", (size[0] + 2 * BORDER_PX, size[1] + BORDER_PX + CAPTION_PX), COLOURS[outcome])
    smooth = Image.Resampling.BICUBIC if scale < 2 else Image.Resampling.NEAREST
    canvas.paste(Image.fromarray(frame).resize(size, smooth), (BORDER_PX, CAPTION_PX))
    word = {None: "", True: "solved", False: "not solved"}[outcome]
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    draw.text((BORDER_PX, CAPTION_PX // 2), f"{trajectory.task}  seed {trajectory.seed}", "white", font, "lm")
    draw.text((canvas.width - BORDER_PX, CAPTION_PX // 2), f"{word}  {step}", "white", font, "rm")
    return np.asarray(canvas)
