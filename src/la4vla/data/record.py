"""One record of a shard: a segment or an episode, in words, numbers and JPEG frames."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

NAME = re.compile(r"[\w+=@-]+")


@dataclass(frozen=True, kw_only=True)
class RecordInfo:
    """What a record says about itself in words.

    Args:
        key: Unique name inside its set, usable as a file name: no dot, no slash.
        task: Slug of the task.
        instruction: What to do.
        primitive: The atomic action, or None for a whole episode.
        directions: Base-frame direction words the instruction commands, dominant first.
        parent: Key of the episode this record was cut from, or None for a whole episode.
        start: Step of the parent at which this record starts.
        quality: Mean human rating from 0 to 3, or None where nobody rated it.
    """

    key: str
    task: str
    instruction: str
    primitive: str | None = None
    directions: tuple[str, ...] = ()
    parent: str | None = None
    start: int = 0
    quality: float | None = None

    @classmethod
    def parse(cls, key: str, words: bytes) -> tuple[RecordInfo, np.ndarray]:
        """The words of record ``key`` from its json member, and its ``frame_steps``."""
        fields = json.loads(words)
        frame_steps = np.asarray(fields.pop("frame_steps"), dtype=np.int64)
        return RecordInfo(key=key, **{**fields, "directions": tuple(fields["directions"])}), frame_steps


@dataclass(frozen=True, kw_only=True)
class Record(RecordInfo):
    """One segment or episode as a shard holds it: its words, its numbers and its frames.

    Args:
        proprioception: ``(T, S)`` float32, before the action of the same row.
        actions: ``(T, A)`` float32.
        frame_steps: ``(F,)`` int64, ascending: the steps that have frames.
        images: By camera, ``F`` JPEG files; row ``i`` shows step ``frame_steps[i]``.
    """

    proprioception: np.ndarray
    actions: np.ndarray
    frame_steps: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    images: Mapping[str, Sequence[bytes]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.actions)

    def check(self) -> None:
        """Check that this record fits together.

        Raises:
            ValueError: If a name, a length, a frame step or a number does not fit.
        """
        for name in (self.key, *self.images):
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"Record {self.key!r}: {name!r} is no member name; use letters, digits and _-+=@ only."
                )
        numbers = self.proprioception, self.actions
        if any(array.ndim != 2 or len(array) != len(self) for array in numbers) or not len(self):
            shapes = " and ".join(str(array.shape) for array in numbers)
            raise ValueError(f"Record {self.key}: expected (T, S) and (T, A) with one T of at least 1, got {shapes}.")
        if not all(np.isfinite(array).all() for array in numbers):
            raise ValueError(f"Record {self.key} holds numbers that are not finite. Repair or drop the demonstration.")
        try:
            for frames in {len(files) for files in self.images.values()} or {0}:
                check_steps(np.asarray(self.frame_steps), len(self), frames)
        except ValueError as error:
            raise ValueError(f"Record {self.key}: {error}") from error

    def members(self) -> dict[str, Any]:
        """The members of this record in a tar; words in a fixed order, so that equal records have equal bytes."""
        words = {
            "task": self.task,
            "instruction": self.instruction,
            "primitive": None if self.primitive is None else str(self.primitive),
            "directions": [str(word) for word in self.directions],
            "parent": self.parent,
            "start": int(self.start),
            "quality": None if self.quality is None else float(self.quality),
            "frame_steps": np.asarray(self.frame_steps).tolist(),
        }
        members: dict[str, Any] = {
            "__key__": self.key,
            "json": json.dumps(words, ensure_ascii=False).encode(),
            "proprioception.npy": _npy(self.proprioception),
            "actions.npy": _npy(self.actions),
        }
        for camera, files in self.images.items():
            members |= {f"{camera}.{row:05d}.jpg": file for row, file in enumerate(files)}
        return members


def check_steps(frame_steps: np.ndarray, steps: int, frames: int) -> None:
    """Check that ``frame_steps`` names one step per frame, ascending inside a record of ``steps`` steps.

    Raises:
        ValueError: If it does not.
    """
    if len(frame_steps) != frames:
        raise ValueError(f"frame_steps names {len(frame_steps)} steps, but there are {frames} frames per camera.")
    if frames and (frame_steps[0] < 0 or frame_steps[-1] >= steps or (np.diff(frame_steps) <= 0).any()):
        raise ValueError(f"frame_steps must ascend inside 0 to {steps - 1}, got {frame_steps.tolist()}.")


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array, dtype="<f4"), allow_pickle=False)
    return stream.getvalue()


@lru_cache(maxsize=4096)
def _npy_shape(header: bytes) -> tuple[int, ...]:
    """Shape from a ``.npy`` header; records share headers, so parsing each once is what makes opening fast."""
    stream = io.BytesIO(header)
    np.lib.format.read_magic(stream)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if fortran or dtype != np.dtype("<f4"):
        raise ValueError(f"arrays must be row-major little-endian float32, got {dtype}.")
    return shape


def parse_npy(data: bytes) -> np.ndarray:
    """The array of a ``.npy`` file of version 1.0; never unpickles."""
    length = 10 + int.from_bytes(data[8:10], "little")
    shape = _npy_shape(data[:length])
    return np.frombuffer(data, dtype="<f4", offset=length).reshape(shape)
