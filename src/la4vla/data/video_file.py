"""Writing a video file picture by picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


class VideoFile:
    """An mp4 under construction, H.264, every second picture a key picture so that loaders find any one quickly.

    Args:
        path: Where to write; the file is whole once it is closed.
        fps: Pictures per second.
        height: Height of every picture; even, as the codec wants.
        width: Width, likewise.
        crf: Constant rate factor from 0 (no loss) to 51; 18 is hard to tell from the original.
    """

    def __init__(self, path: Path, fps: float, height: int, width: int, crf: int = 18) -> None:
        if height % 2 or width % 2:
            raise ValueError(f"H.264 stores pictures of even height and width, got {height}x{width}; resize them.")
        self.path = path
        self.pictures = 0
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        options = {"crf": str(crf), "g": "2", "bf": "0", "preset": "veryfast", "threads": "1"}
        self._stream = self._container.add_stream("libx264", Fraction(fps).limit_denominator(1001), options=options)
        self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "yuv420p"

    @property
    def size_bytes(self) -> int:
        """What has reached the disk; nothing does before the codec has seen its first few pictures."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, picture: np.ndarray) -> None:
        """Add one ``(height, width, 3)`` uint8 RGB picture."""
        if picture.shape != (self._stream.height, self._stream.width, 3):
            wanted = f"{self._stream.height}x{self._stream.width}"
            raise ValueError(f"{self.path} holds pictures of {wanted} px, got one of shape {picture.shape}.")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))
        self.pictures += 1

    def close(self) -> None:
        """Finish the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
