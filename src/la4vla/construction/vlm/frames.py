"""The frames a vision-language model is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from la4vla.data.transforms import encode_jpeg
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.episode import Episode


class View(NamedTuple):
    """One camera's frames: JPEG files, when each was taken in seconds, and their common size in pixels."""

    camera: str
    times_s: tuple[float, ...]
    jpegs: tuple[bytes, ...]
    width_px: int
    height_px: int


@dataclass(frozen=True)
class FrameSampler:
    """Picks frames at a set rate and shrinks them to a set size.

    The paper's rate and size did not survive publication; its 4,633 prompt tokens for a 19 s episode allow no more than
    one frame per second in two views of this size.

    Args:
        rate_hz: Frames per second and view. At 2 a gripper action of half a second shows at least once.
        longest_px: Longer side of a frame; larger ones are shrunk, smaller ones left as they are. 320 shows what a
            gripper holds and costs about 60 tokens.
        most_frames: Frames per view at most; a longer episode is shown at a lower rate, first and last frame included.
        cameras: Names of the views to show, in order; None shows all.
        jpeg_quality: From 1 to 100.

    Raises:
        ValueError: If a number is out of range.
    """

    rate_hz: float = 2.0
    longest_px: int = 320
    most_frames: int = 64
    cameras: list[str] | None = None
    jpeg_quality: int = 85

    def __post_init__(self) -> None:
        if self.rate_hz <= 0 or self.longest_px < 1 or self.most_frames < 2 or not 1 <= self.jpeg_quality <= 100:
            raise ValueError(
                "rate_hz must be above 0, longest_px at least 1, most_frames at least 2 and jpeg_quality in 1..100, "
                f"got {self.rate_hz}, {self.longest_px}, {self.most_frames} and {self.jpeg_quality}."
            )

    def sample(self, episode: Episode) -> list[View]:
        """The views of ``episode``; frames are read in ascending order, each once.

        Raises:
            UnusableEpisode: If the episode has no frames, or lacks one of the cameras.
        """
        cameras = list(episode.frames) if self.cameras is None else self.cameras
        missing = [camera for camera in cameras if camera not in episode.frames]
        if missing or not cameras or not len(episode.frame_steps):
            lacking = f"there are no frames of {', '.join(missing)}" if missing else "there are no frames"
            raise UnusableEpisode(episode.key, "no frames", f"{lacking}, and a vision-language model must see it.")
        rows = self._rows(episode)
        times = tuple((episode.frame_steps[rows] / episode.embodiment.control_hz).tolist())
        return [self._view(camera, times, [episode.frames[camera][row] for row in rows]) for camera in cameras]

    def _rows(self, episode: Episode) -> list[int]:
        """The last frame at or before each moment wanted, and the very last one."""
        steps_apart = episode.embodiment.control_hz / self.rate_hz
        steps_apart = max(steps_apart, len(episode) / (self.most_frames - 1))
        wanted = np.arange(0, len(episode), steps_apart)
        rows = np.searchsorted(episode.frame_steps, wanted + 1e-6, side="right") - 1
        chosen: list[int] = np.unique([*rows.clip(0), len(episode.frame_steps) - 1]).tolist()
        return chosen

    def _view(self, camera: str, times_s: tuple[float, ...], images: list[np.ndarray]) -> View:
        height, width = images[0].shape[:2]
        scale = min(1.0, self.longest_px / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        jpegs = []
        for image in images:
            if scale < 1:
                image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
            jpegs.append(encode_jpeg(image, self.jpeg_quality))
        return View(camera, times_s, tuple(jpegs), *size)
