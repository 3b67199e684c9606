"""One demonstration's part of a video file, decoded from front to back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import overload

import numpy as np

from la4vla.data.unusable import UnusableEpisode

with suppress(ImportError):  # the reader's constructor says what to install
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# A frame farther than this from its place, as a fraction of the time between frames, belongs to another rate.
TOLERANCE = 0.25


@dataclass
class VideoClip(Sequence[np.ndarray]):
    """A lazy sequence of ``(h, w, 3)`` uint8 RGB pictures.

    Decoding is one pass through the clip, with at most one seek, to the last key picture before it; a video of a
    thousand pictures costs a thousand decodings however it is read. Pictures asked for in ascending order share one
    pass; going back begins another. One picture is held at a time.

    Args:
        path: The video file.
        steps: Steps of the demonstration; the clip holds one picture of each.
        fps: Steps per second.
        start_s: When the clip begins, in seconds after the file's first picture.
        every: Keep the first of every so many pictures.
        size_px: Height and width to resize to, bicubic with the filter widened where it shrinks; None keeps the size.
        episode: Key of the demonstration, for what is said of it.
        camera: Name of the camera, likewise.
    """

    path: Path
    steps: int
    fps: float
    start_s: float = 0.0
    every: int = 1
    size_px: int | None = None
    episode: str = "?"
    camera: str = "?"
    _passing: tuple[int, np.ndarray, Iterator[np.ndarray]] | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return -(-self.steps // self.every)

    def __iter__(self) -> Iterator[np.ndarray]:
        """One pass; raises UnusableEpisode where a picture cannot be decoded or is missing."""
        with self._opened() as (container, stream):
            expected, first = 0, (0, 0)
            for frame in container.decode(stream):
                step = self._step(frame.pts, stream)
                if step < 0:
                    continue
                if step != expected:
                    break
                first = first if expected else (frame.height, frame.width)
                if (frame.height, frame.width) != first:
                    sizes = f"{frame.height}x{frame.width} px, the first of the episode {first[0]}x{first[1]} px"
                    raise self._unusable("uneven pictures", f"the picture of step {step} has {sizes}.")
                if step % self.every == 0:
                    yield self._picture(frame)
                expected += 1
                if expected == self.steps:
                    return
        raise self._unusable("broken video", f"decoding ended after {expected} of {self.steps} pictures.")

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """Picture ``index``, or those of a slice in its order."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        wanted = index + len(self) if index < 0 else index
        if not 0 <= wanted < len(self):
            raise IndexError(f"picture {index} of a clip of {len(self)}")
        if self._passing is None or self._passing[0] > wanted:
            pictures = iter(self)
            self._passing = 0, next(pictures), pictures
        at, picture, pictures = self._passing
        for _ in range(wanted - at):
            picture = next(pictures)
        self._passing = wanted, picture, pictures
        return picture

    def rate(self) -> float | None:
        """Pictures per second that the file tells, or None; raises UnusableEpisode where it cannot be opened."""
        with self._opened() as (_, stream):
            return None if stream.average_rate is None else float(stream.average_rate)

    def check(self) -> None:
        """Check, without decoding, that the file holds one picture for every step, at its time.

        Raises:
            UnusableEpisode: If the file is missing or broken, runs at another rate, or has too few pictures.
        """
        with self._opened() as (container, stream):
            rate = stream.average_rate
            self._check_colour(stream)
            if rate is not None and not isclose(rate, self.fps, rel_tol=0.01):
                raise self._unusable("wrong fps", f"the video runs at {float(rate):g} Hz, meta says {self.fps:g} Hz.")
            found = set()
            for packet in container.demux(stream):
                # pictures are stored in the order of decoding, never after the time they are shown
                if packet.dts is not None and self._place(packet.dts, stream) > self.steps:
                    break
                if packet.pts is not None:
                    found.add(self._step(packet.pts, stream))
        there = sum(step in found for step in range(self.steps))
        if there < self.steps:
            raise self._unusable("too few frames", f"the video has {there} pictures for {self.steps} states.")

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_passing": None}

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        if not self.path.is_file():
            raise self._unusable("missing video", f"there is no file {self.path}.")
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                # one thread a clip: those who read many share the cores by reading several at once
                stream.codec_context.thread_count = 1
                if self.start_s > 0:
                    target = (self.start_s - 0.5 / self.fps) / self._tick_s(stream) + (stream.start_time or 0)
                    container.seek(int(target), stream=stream)
                yield container, stream
        except (av.FFmpegError, IndexError) as error:
            raise self._unusable("broken video", f"{self.path} cannot be read ({error}).") from error

    def _place(self, pts: int, stream: VideoStream) -> float:
        """The step a time stamp falls on, not rounded."""
        shown_s = (pts - (stream.start_time or 0)) * self._tick_s(stream)
        return (shown_s - self.start_s) * self.fps

    def _step(self, pts: int | None, stream: VideoStream) -> int:
        if pts is None:
            raise self._unusable("broken video", "a picture has no time.")
        place = self._place(pts, stream)
        step = round(place)
        if abs(place - step) > TOLERANCE and -0.5 < place < self.steps:
            raise self._unusable("wrong fps", f"a picture lies at step {place:.2f} of {self.fps:g} Hz.")
        return step

    def _check_colour(self, stream: VideoStream) -> None:
        form = stream.codec_context.format
        if form is None or form.has_palette:
            return
        if sum(not component.is_alpha for component in form.components) < 3:
            sentence = f"the video has one channel (pixel format {form.name}), as depth has; expected colour."
            raise self._unusable("not colour", sentence)

    def _picture(self, frame: VideoFrame) -> np.ndarray:
        if any(component.is_alpha for component in frame.format.components):
            least = int(frame.to_ndarray(format="rgba", threads=1)[..., 3].min())
            if least < 255:
                sentence = f"a picture can be seen through (its alpha goes down to {least}); lay it on a background."
                raise self._unusable("not colour", sentence)
        if self.size_px is None:
            return frame.to_ndarray(format="rgb24", threads=1)
        size = self.size_px
        return frame.to_ndarray(format="rgb24", width=size, height=size, interpolation="BICUBIC", threads=1)

    def _tick_s(self, stream: VideoStream) -> float:
        if stream.time_base is None:
            raise self._unusable("broken video", "its stream has no unit of time.")
        return float(stream.time_base)

    def _unusable(self, reason: str, sentence: str) -> UnusableEpisode:
        return UnusableEpisode(self.episode, reason, f"camera {self.camera}: {sentence}")
