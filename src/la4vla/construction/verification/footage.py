"""What is shown of a segment: its frames and motion, and those around it as far as anything recorded them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from la4vla.data.record import RecordInfo
from la4vla.data.shards import Shards


@dataclass(frozen=True)
class Clip:
    """A window of an episode around one segment. Steps count from the beginning of the episode.

    Args:
        info: The segment's words.
        first: First step of the window.
        start: First step of the segment as it was proposed; ``stop`` is one past its last.
        last: One past the last step of the window.
        position: ``(T, 3)`` metres the hand lies forward, left and up in the robot's base frame, over the window; None
            where that is not recorded.
        opening: ``(T,)`` from 0 (closed) to 1 (open), or None without a gripper or its stroke.
        frame_steps: ``(F,)`` steps of the episode that have frames.
        sources: ``(F,)`` where each of those frames lies: a set, and the number of the frame in it.
    """

    info: RecordInfo
    first: int
    last: int
    start: int
    stop: int
    position: np.ndarray | None
    opening: np.ndarray | None
    frame_steps: np.ndarray
    sources: Sequence[tuple[Shards, int]]

    def jpegs(self, camera: str) -> list[bytes]:
        """The JPEG files of one camera, a row for each of ``frame_steps``."""
        return [shards.frame_bytes(frame, camera) for shards, frame in self.sources]

    def to_json(self) -> dict[str, Any]:
        """Everything but the frames as plain JSON values."""
        return {
            "segment": self.info.key,
            "task": self.info.task,
            "instruction": self.info.instruction,
            "primitive": self.info.primitive,
            "directions": list(self.info.directions),
            "first": self.first,
            "last": self.last,
            "start": self.start,
            "stop": self.stop,
            "position": None if self.position is None else np.round(self.position, 5).tolist(),
            "opening": None if self.opening is None else np.round(self.opening, 4).tolist(),
            "frame_steps": self.frame_steps.tolist(),
        }


@dataclass(frozen=True)
class _Piece:
    """Steps ``start`` to ``stop`` of an episode, held by record ``record`` of ``shards``."""

    shards: Shards
    record: int
    start: int
    stop: int

    def row(self, step: int) -> int:
        return int(self.shards.starts[self.record]) + step - self.start

    def frames(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Step in the episode, and number in the set, of the frames from step ``begin`` up to ``end``."""
        for frame in range(int(self.shards.frame_starts[self.record]), int(self.shards.frame_starts[self.record + 1])):
            step = self.start + int(self.shards.frame_steps[frame])
            if begin <= step < end:
                yield step, frame


class Footage:
    """The segments of a set, each with what lies around it.

    A set holds the segments' own steps alone. What lies outside comes from whole episodes of the same card where it
    exports any, else from neighbouring segments, as far as they abut.

    Args:
        segments: The set, with frames.
        episodes: Sets of whole episodes of the same card, with frames; may be none.
        context_s: Seconds shown on either side where anything recorded them.
    """

    def __init__(self, segments: Shards, episodes: Sequence[Shards] = (), context_s: float = 1.0) -> None:
        self.segments = segments
        self.embodiment = segments.manifest.domain.embodiment
        self.cameras = segments.cameras
        self.records = {info.key: row for row, info in enumerate(segments.records)}
        self.context = max(0, round(context_s * self.embodiment.control_hz))
        self._episodes = episodes

    def clip(self, key: str) -> Clip:
        """The window around segment ``key``.

        Raises:
            LookupError: If there is no such segment.
        """
        if key not in self.records:
            raise LookupError(f"There is no segment {key!r} in {self.segments.folder}.")
        number = self.records[key]
        own = _piece(self.segments, number)
        parts = self._around(own, self.segments.records[number].parent)
        rows = [(piece.shards, slice(piece.row(begin), piece.row(end))) for piece, begin, end in parts]
        proprioception = np.concatenate([shards.proprioception[part] for shards, part in rows]).astype(np.float64)
        shots = [(s, (piece.shards, f)) for piece, begin, end in parts for s, f in piece.frames(begin, end)]
        body = self.embodiment
        placed = body.position is not None and body.forward is not None
        stroked = body.gripper is not None and body.gripper_open is not None
        opening = np.clip(body.opening_of(proprioception), 0, 1) if stroked else None
        return Clip(
            info=self.segments.records[number],
            first=parts[0][1],
            last=parts[-1][2],
            start=own.start,
            stop=own.stop,
            position=body.position_of(proprioception) @ body.axes.T if placed else None,
            opening=opening,
            frame_steps=np.array([step for step, _ in shots], dtype=np.int64),
            sources=[source for _, source in shots],
        )

    def _around(self, own: _Piece, parent: str | None) -> list[tuple[_Piece, int, int]]:
        """The pieces that make up the window, with the steps taken from each, in order and without a gap."""
        others = [piece for piece in self._pieces.get(parent or "", []) if piece != own]
        parts = [(own, own.start, own.stop)]
        first, last = max(0, own.start - self.context), own.stop + self.context
        while (begin := parts[0][1]) > first:
            piece = next((p for p in others if p.start < begin <= p.stop), None)
            if piece is None:
                break
            parts.insert(0, (piece, max(first, piece.start), begin))
        while (end := parts[-1][2]) < last:
            piece = next((p for p in others if p.start <= end < p.stop), None)
            if piece is None:
                break
            parts.append((piece, end, min(last, piece.stop)))
        return parts

    @cached_property
    def _pieces(self) -> dict[str, list[_Piece]]:
        """By episode, what is recorded of it: whole episodes first, for they reach furthest."""
        pieces: dict[str, list[_Piece]] = defaultdict(list)
        for episodes in self._episodes:
            for number, info in enumerate(episodes.records):
                if episodes.cameras == self.cameras:
                    pieces[info.key].append(_piece(episodes, number))
        for number, info in enumerate(self.segments.records):
            if info.parent is not None:
                pieces[info.parent].append(_piece(self.segments, number))
        return pieces


def _piece(shards: Shards, record: int) -> _Piece:
    start = shards.records[record].start
    return _Piece(shards, record, start, start + int(shards.starts[record + 1] - shards.starts[record]))
