"""Films of episodes, one MP4 each, with who acts and what it was told."""

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
CAPTION_PX = 26  # the bar above the frame
LINE_PX = 18  # a line of words below it; with the side and the borders even, which video codecs want
COLOURS = {None: (110, 110, 110), True: (40, 160, 70), False: (200, 50, 50)}
LETTER_PX = 13
FINAL_FRAMES = 12  # the last frame stays for a moment, framed in the outcome's colour


class Films:
    """A watcher that writes each filmed episode to ``folder/<task>_<seed>.mp4`` and lets its frames go.

    Args:
        folder: Made where missing, unless there is nothing to write.
        fps: Frames per second.
        policy: Name of who acts, as tables have it.
    """

    def __init__(self, folder: str | Path, fps: float, policy: str) -> None:
        self.folder = Path(folder)
        self.fps = fps
        self.policy = policy

    def __call__(self, trajectory: Trajectory) -> None:
        """Write the film of one finished episode, if it was filmed.

        Raises:
            OSError: If the disk is full; the sentence says what can be done.
        """
        if not trajectory.frames:
            return
        path = self.folder / f"{trajectory.task}_{trajectory.seed}.mp4"
        try:
            write_film(path, list(dressed(trajectory, self.policy)), self.fps)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            message = f"The disk filled up while writing the film {path}; free some space, or film less (videos=0)."
            raise OSError(error.errno, message) from error
        trajectory.frames.clear()  # the films of fifty tasks would fill the memory
        trajectory.frame_steps.clear()


def dressed(trajectory: Trajectory, policy: str) -> Iterator[np.ndarray]:
    """Frames of one episode enlarged, with a border that is green or red at the end.

    Above them stand task, seed, outcome and step; below them ``policy`` and the instruction, in as many lines as they
    need.
    """
    last = len(trajectory.frames) - 1
    for index, (frame, step) in enumerate(zip(trajectory.frames, trajectory.frame_steps, strict=True)):
        dress = _dress(frame, trajectory, policy, step, trajectory.success if index == last else None)
        yield from [dress] * (FINAL_FRAMES if index == last else 1)


def write_film(path: str | Path, frames: Sequence[np.ndarray], fps: float) -> Path:
    """Write ``frames`` ``(h, w, 3)`` uint8, sides even, to the MP4 file ``path``, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    film = imageio.imwrite("<bytes>", list(frames), extension=".mp4", plugin="FFMPEG", fps=fps, macro_block_size=2)
    with written_whole(path) as file:
        file.write(film)
    return path


def _dress(frame: np.ndarray, trajectory: Trajectory, policy: str, step: int, outcome: bool | None) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = SIDE_PX / height
    size = (round(width * scale / 2) * 2, SIDE_PX)
    told = wrapped(f"{policy}: {trajectory.instruction}" if trajectory.instruction else policy, size[0])
    below = CAPTION_PX + SIDE_PX + BORDER_PX
    canvas = Image.new("RGB", (size[0] + 2 * BORDER_PX, below + LINE_PX * len(told)), COLOURS[outcome])
    smooth = Image.Resampling.BICUBIC if scale < 2 else Image.Resampling.NEAREST
    canvas.paste(Image.fromarray(frame).resize(size, smooth), (BORDER_PX, CAPTION_PX))
    word = {None: "", True: "solved", False: "not solved"}[outcome]
    draw, font = ImageDraw.Draw(canvas), lettering()
    draw.text((BORDER_PX, CAPTION_PX // 2), f"{trajectory.task}  seed {trajectory.seed}", "white", font, "lm")
    draw.text((canvas.width - BORDER_PX, CAPTION_PX // 2), f"{word}  {step}", "white", font, "rm")
    for number, line in enumerate(told):
        draw.text((BORDER_PX, below + LINE_PX * number + LINE_PX // 2 - BORDER_PX // 2), line, "white", font, "lm")
    return np.asarray(canvas)


def lettering() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The letters of all films."""
    return ImageFont.load_default(LETTER_PX)


def wrapped(text: str, width_px: int) -> list[str]:
    """``text`` in lines of at most ``width_px``, broken between words and, where one is longer, inside it."""
    font, lines = lettering(), [""]
    for word in text.split():
        if lines[-1] and font.getlength(f"{lines[-1]} {word}") > width_px:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        while font.getlength(lines[-1]) > width_px and len(lines[-1]) > 1:
            fits = max(n for n in range(1, len(lines[-1])) if n == 1 or font.getlength(lines[-1][:n]) <= width_px)
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return lines
