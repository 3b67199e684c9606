"""Shards as they are read: records and single frames at random, through the index beside each WebDataset tar.

The format is described in ``docs/shard_format.md`` and written by :mod:`la4vla.data.shard_writer`. Any WebDataset
reader can stream the tars too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from la4vla.data.files import sha256_of
from la4vla.data.manifest import SCHEMA_VERSION, Manifest
from la4vla.data.place import Place, place
from la4vla.data.record import Record, RecordInfo, check_steps, parse_npy
from la4vla.data.shard_cache import local_folder
from la4vla.data.shard_index import ShardIndex, span
from la4vla.data.transforms import decode_jpeg

__all__ = ["SCHEMA_VERSION", "Manifest", "Record", "RecordInfo", "Shards"]

# A set may have more tars than a process may hold open, of which most systems allow 1024.
MOST_OPEN = 256


class Shards:
    """A finished set, open for reading: numbers and words of all records in memory, frames on disk.

    Args:
        folder: Where the tars lie. A set in an object store is copied to this machine first, once.
        manifest: The set's manifest; read from ``folder`` where None.

    Attributes:
        records: ``R`` records' words, in reading order.
        proprioception: ``(N, S)`` float32, all records one after the other; read-only, as all arrays here.
        actions: ``(N, A)`` float32, likewise.
        starts: ``(R + 1,)`` int64: record ``i`` owns rows ``starts[i]`` to ``starts[i + 1]``.
        frame_starts: ``(R + 1,)`` int64, likewise for frames.
        frame_steps: ``(F,)`` int64: the step, inside its record, that each frame shows.
        cameras: The cameras that recorded frames, in the embodiment's order.

    Raises:
        FileNotFoundError: If the manifest, a tar or an index is missing.
        ValueError: If a file is damaged or a record does not agree with the manifest; names shard and record.
    """

    def __init__(self, folder: str | Place, manifest: Manifest | None = None) -> None:
        self.manifest = manifest or Manifest.read(folder)
        self.folder = local_folder(place(folder), self.manifest)
        self._descriptors: dict[int, int] = {}
        indices = [ShardIndex.read(self._tar(shard)) for shard in range(len(self.manifest.shards))]
        self.cameras = self._common_cameras(indices)
        self._frame_shard_starts = np.cumsum([0, *(len(index.images) for index in indices)])
        self._frame_spans = self._common_spans(indices)
        self.records: list[RecordInfo] = []
        arrays: list[list[np.ndarray]] = []
        for shard, index in enumerate(indices):
            for row in range(len(index.keys)):
                info, *parts = self._read_low_dim(shard, index, row)
                self.records.append(info)
                arrays.append(parts)
            # those with frames are opened again when needed
            self.close()
        size = self.manifest.domain.embodiment
        self.proprioception = _joined([a[0] for a in arrays], (0, len(size.proprioception)), np.float32)
        self.actions = _joined([a[1] for a in arrays], (0, len(size.actions)), np.float32)
        self.frame_steps = _joined([a[2] for a in arrays], (0,), np.int64)
        self.starts = np.cumsum([0, *(len(a[1]) for a in arrays)], dtype=np.int64)
        self.frame_starts = np.cumsum([0, *(len(a[2]) for a in arrays)], dtype=np.int64)
        self._check_unique()

    def __len__(self) -> int:
        return len(self.records)

    def record(self, i: int) -> Record:
        """Record ``i`` whole, its frames included."""
        rows = slice(int(self.starts[i]), int(self.starts[i + 1]))
        frames = slice(int(self.frame_starts[i]), int(self.frame_starts[i + 1]))
        images = {
            camera: tuple(self.jpeg(i, camera, row) for row in range(frames.stop - frames.start))
            for camera in self.cameras
            if frames.stop > frames.start
        }
        return Record(
            **vars(self.records[i]),
            proprioception=self.proprioception[rows],
            actions=self.actions[rows],
            frame_steps=self.frame_steps[frames],
            images=images,
        )

    def jpeg(self, record: int, camera: str, row: int) -> bytes:
        """The JPEG file of frame ``row`` of ``record``."""
        return self.frame_bytes(int(self.frame_starts[record]) + row, camera)

    def image(self, record: int, camera: str, row: int) -> np.ndarray:
        """Frame ``row`` of ``record``, ``(h, w, 3)`` uint8 RGB."""
        return self.frame(int(self.frame_starts[record]) + row, camera)

    def frame_bytes(self, frame: int, camera: str) -> bytes:
        """The JPEG file of row ``frame`` of ``frame_steps``."""
        shard = int(np.searchsorted(self._frame_shard_starts, frame, side="right")) - 1
        return self._read(shard, *span(self._frame_spans[frame, self.cameras.index(camera)]))

    def frame(self, frame: int, camera: str) -> np.ndarray:
        """The image of row ``frame`` of ``frame_steps``, ``(h, w, 3)`` uint8 RGB.

        Raises:
            ValueError: If the JPEG is corrupt; names shard, record, camera and frame.
        """
        try:
            return decode_jpeg(self.frame_bytes(frame, camera))
        except ValueError as error:
            raise ValueError(f"{self._where(frame, camera)}: {error}") from error

    def _where(self, frame: int, camera: str) -> str:
        record = int(np.searchsorted(self.frame_starts, frame, side="right")) - 1
        shard = self._tar(int(np.searchsorted(self._frame_shard_starts, frame, side="right")) - 1)
        row = frame - int(self.frame_starts[record])
        return f"Shard {shard}, record {self.records[record].key}, camera {camera}, frame {row}"

    def decode_frames(self, frames: np.ndarray, camera: str, out: np.ndarray, rows: np.ndarray) -> None:
        """Decode ``frames[i]``, a row of ``frame_steps``, into ``out[rows[i]]``; ``out`` is ``(n, h, w, 3)`` uint8.

        Raises:
            ValueError: As :meth:`frame`.
        """
        if not len(frames):
            return
        column = self.cameras.index(camera)
        shards = (np.searchsorted(self._frame_shard_starts, frames, side="right") - 1).tolist()
        for frame, shard, (offset, size), row in zip(
            frames.tolist(), shards, self._frame_spans[frames, column].tolist(), rows.tolist(), strict=True
        ):
            try:
                decode_jpeg(self._read(shard, offset, size), out[row])
            except ValueError as error:
                raise ValueError(f"{self._where(frame, camera)}: {error}") from error

    def verify(self) -> None:
        """Hash every tar and compare it with the manifest; reads the whole set.

        Raises:
            ValueError: If a tar changed since the manifest was written.
        """
        for shard, entry in enumerate(self.manifest.shards):
            if (found := sha256_of(self._tar(shard))) != entry.sha256:
                raise ValueError(
                    f"Shard {self._tar(shard)} has sha256 {found}, but {entry.sha256} in its manifest. Copy it again."
                )

    def close(self) -> None:
        """Close the tars; they are opened again when a frame is read."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _tar(self, shard: int) -> Path:
        return self.folder / self.manifest.shards[shard].file

    def _read(self, shard: int, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``; pread keeps no position, so forked workers may share the descriptor."""
        if shard not in self._descriptors:
            if len(self._descriptors) >= MOST_OPEN:
                os.close(self._descriptors.pop(next(iter(self._descriptors))))
            self._descriptors[shard] = os.open(self._tar(shard), os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._descriptors[shard], size, offset)

    def _read_low_dim(
        self, shard: int, index: ShardIndex, row: int
    ) -> tuple[RecordInfo, np.ndarray, np.ndarray, np.ndarray]:
        words, proprioception, actions = (self._read(shard, *span(r)) for r in index.low_dim[row].tolist())
        key = str(index.keys[row])
        try:
            info, frame_steps = RecordInfo.parse(key, words)
            arrays = parse_npy(proprioception), parse_npy(actions)
            self._check_agrees(*arrays, frame_steps, int(index.frames[row + 1] - index.frames[row]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"Shard {self._tar(shard)}, record {key}: {error}") from error
        return info, *arrays, frame_steps

    def _check_agrees(self, proprioception: np.ndarray, actions: np.ndarray, steps: np.ndarray, frames: int) -> None:
        body = self.manifest.domain.embodiment
        wanted = (len(actions), len(body.proprioception)), (len(actions), len(body.actions))
        if (proprioception.shape, actions.shape) != wanted:
            raise ValueError(
                f"proprioception {proprioception.shape} and actions {actions.shape} do not agree with embodiment "
                f"{body.name} of the manifest, which has S={wanted[0][1]} and A={wanted[1][1]}."
            )
        check_steps(steps, len(actions), frames)

    def _common_cameras(self, indices: Sequence[ShardIndex]) -> tuple[str, ...]:
        embodiment = self.manifest.domain.embodiment
        found = {frozenset(index.cameras.tolist()) for index in indices if len(index.images)}
        names = next(iter(found), frozenset())
        if len(found) > 1 or not names <= set(embodiment.cameras):
            raise ValueError(
                f"The shards of {self.folder} hold frames of cameras {sorted(map(sorted, found))}; every shard must "
                f"hold the same ones, out of {list(embodiment.cameras)} of embodiment {embodiment.name}."
            )
        if bool(names) != (self.manifest.domain.view is not None):
            stated = "names no view profile" if names else "names a view profile"
            raise ValueError(f"The manifest of {self.folder} {stated}, but its shards hold frames of {sorted(names)}.")
        return tuple(camera for camera in embodiment.cameras if camera in names)

    def _common_spans(self, indices: Sequence[ShardIndex]) -> np.ndarray:
        """``(F, C, 2)`` offsets and sizes of all frames, cameras in the order of ``self.cameras``."""
        parts = [np.empty((0, len(self.cameras), 2), dtype=np.int64)]
        for index in indices:
            if len(index.images):
                parts.append(index.images[:, [index.cameras.tolist().index(camera) for camera in self.cameras]])
        return np.concatenate(parts)

    def _check_unique(self) -> None:
        keys = [info.key for info in self.records]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"Record key {twice} occurs twice in {self.folder}; keys must be unique in a set.")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptors": {}}

    def __del__(self) -> None:
        if "_descriptors" in self.__dict__:
            self.close()


def _joined(parts: list[np.ndarray], empty: tuple[int, ...], dtype: type) -> np.ndarray:
    joined: np.ndarray = np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(empty, dtype=dtype)
    joined.flags.writeable = False
    return joined
