"""Films of episodes, one MP4 per task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
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


def write_videos(folder: str | Path, trajectories: Iterable[Trajectory], fps: float) -> list[Path]:
    """Write the filmed episodes to ``folder/<task>.mp4``, those of a task one after the other.

    Args:
        folder: Made where missing, unless there is nothing to write.
        trajectories: Those without frames are passed over.
        fps: Frames per second.
    """
    filmed: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        if trajectory.frames:
            filmed[trajectory.task].append(trajectory)
    return [_write(Path(folder) / f"{task}.mp4", episodes, fps) for task, episodes in filmed.items()]


def dressed(trajectory: Trajectory) -> Iterator[np.ndarray]:
    """The frames of one episode enlarged, with a caption and a border; green or red at the end."""
    last = len(trajectory.frames) - 1
    for index, (frame, step) in enumerate(zip(trajectory.frames, trajectory.frame_steps, strict=True)):
        dress = _dress(frame, trajectory, step, trajectory.success if index == last else None)
        yield from [dress] * (FINAL_FRAMES if index == last else 1)


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


def _write(path: Path, episodes: list[Trajectory], fps: float) -> Path:
    frames = [frame for episode in episodes for frame in dressed(episode)]
    film = imageio.imwrite("<bytes>", frames, extension=".mp4", plugin="FFMPEG", fps=fps, macro_block_size=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(film)
    return path
