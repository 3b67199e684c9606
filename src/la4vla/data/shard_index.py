"""Where each member lies inside a shard's tar, kept beside it so that samples are read at random."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np

from la4vla.data.place import Place

SUFFIX = ".index.npz"


@dataclass(frozen=True)
class ShardIndex:
    """Byte ranges of one tar's members; derived from the tar alone, so it can be made again at any time.

    Args:
        keys: ``(R,)`` key of each record, in tar order.
        low_dim: ``(R, 3, 2)`` int64: offset and size of each record's json, proprioception and actions.
        cameras: ``(C,)`` names of the cameras, empty where records hold no frames.
        frames: ``(R + 1,)`` int64: record ``i`` owns rows ``frames[i]`` to ``frames[i + 1]`` of ``images``.
        images: ``(F, C, 2)`` int64: offset and size of each JPEG.
        tar_bytes: Size of the whole tar.
    """

    keys: np.ndarray
    low_dim: np.ndarray
    cameras: np.ndarray
    frames: np.ndarray
    images: np.ndarray
    tar_bytes: np.ndarray

    @classmethod
    def scan(cls, tar: BinaryIO) -> ShardIndex:
        """The index of the open file ``tar``."""
        members: dict[str, dict[str, tuple[int, int]]] = {}
        tar.seek(0)
        with tarfile.open(fileobj=tar, mode="r:") as archive:
            for member in archive:
                key, name = member.name.split(".", 1)
                members.setdefault(key, {})[name] = (member.offset_data, member.size)
        cameras = sorted({n.split(".")[0] for fields in members.values() for n in fields if n.endswith(".jpg")})
        counts = [sum(name.endswith(".jpg") for name in names) // max(len(cameras), 1) for names in members.values()]
        images = [
            [names[f"{camera}.{row:05d}.jpg"] for camera in cameras]
            for names, count in zip(members.values(), counts, strict=True)
            for row in range(count)
        ]
        low_dim = [[names[n] for n in ("json", "proprioception.npy", "actions.npy")] for names in members.values()]
        return cls(
            keys=np.asarray(list(members), dtype=np.str_),
            low_dim=np.asarray(low_dim, dtype=np.int64).reshape(len(low_dim), 3, 2),
            cameras=np.asarray(cameras, dtype=np.str_),
            frames=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
            images=np.asarray(images, dtype=np.int64).reshape(len(images), len(cameras), 2),
            tar_bytes=np.asarray(tar.seek(0, 2), dtype=np.int64),
        )

    def write(self, file: BinaryIO) -> None:
        """Write this index into an open file."""
        np.savez(file, allow_pickle=False, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def read(cls, tar: Path) -> ShardIndex:
        """The index beside ``tar``, checked against the tar's size.

        Raises:
            FileNotFoundError: If the tar or its index is missing.
            ValueError: If the index is damaged, or the tar is not as long as its index says.
        """
        path = Path(str(index_path(tar)))
        if not tar.exists() or not path.exists():
            missing = path if tar.exists() else tar
            raise FileNotFoundError(f"Shard file {missing} is missing. Copy the set again, or build it again.")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                index = cls(**{f.name: arrays[f.name] for f in fields(cls)})
        except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
            raise ValueError(f"Shard index {path} is damaged ({error}). Make it again with write_index().") from error
        if (found := tar.stat().st_size) != index.tar_bytes:
            state = "truncated" if found < index.tar_bytes else "longer than its index"
            raise ValueError(
                f"Shard {tar} is {state}: {index.tar_bytes} bytes expected, {found} found. Copy or build it again."
            )
        return index


def index_path(tar: Place) -> Place:
    """The index sidecar of ``tar``: ``00000.tar`` has ``00000.index.npz``."""
    return tar.with_suffix(SUFFIX)


def span(ranges: Sequence[int] | np.ndarray) -> tuple[int, int]:
    """Offset and size as Python integers."""
    return int(ranges[0]), int(ranges[1])
