"""The records of a shard set as demonstrations again, for whoever takes demonstrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from la4vla.data.shards import Shards
from la4vla.schema.episode import Episode


def shard_episodes(shards: Shards) -> Iterator[Episode]:
    """Every record as an :class:`Episode` of its own, a segment under its own instruction; frames are decoded late."""
    body = shards.manifest.domain.embodiment
    for number, info in enumerate(shards.records):
        rows = slice(int(shards.starts[number]), int(shards.starts[number + 1]))
        frames = slice(int(shards.frame_starts[number]), int(shards.frame_starts[number + 1]))
        steps = shards.frame_steps[frames]
        yield Episode(
            key=info.key,
            task=info.task,
            instruction=info.instruction,
            embodiment=body,
            proprioception=shards.proprioception[rows],
            actions=shards.actions[rows],
            frames={camera: _Frames(shards, number, camera, len(steps)) for camera in shards.cameras if len(steps)},
            frame_steps=steps,
        )


@dataclass(frozen=True)
class _Frames(Sequence[np.ndarray]):
    shards: Shards
    record: int
    camera: str
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError(f"frame {index} of {self.size}")
        return self.shards.image(self.record, self.camera, index % self.size)
