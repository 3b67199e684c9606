"""Fingerprint of a demonstration in an HDF5 file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from la4vla.data.readers.fingerprint import digest_of

with suppress(ImportError):  # the reader's constructor says what to install
    import h5py


def demonstration_digest(group: h5py.Group, told: str, arrays: Iterable[str], pictures: Iterable[str]) -> str:
    """Digest of the instruction ``told``, of ``arrays`` of numbers whole, and of the first and last of ``pictures``."""
    whole = [_hashed(group, path, ()) for path in arrays]
    ends = [_hashed(group, path, step) for path in pictures for step in (0, -1)]
    return digest_of(told, whole, ends)


def _hashed(group: h5py.Group, path: str, rows: int | tuple[()]) -> list[object]:
    stored = group.get(path)
    if not isinstance(stored, h5py.Dataset) or (rows != () and not len(stored)):
        return [path, None]
    try:
        values = np.ascontiguousarray(stored[rows])
        content = (values.astype(str) if values.dtype.hasobject else values).tobytes()
    except (OSError, TypeError):  # a damaged chunk, or an array of no rows; whoever reads it will say so
        content = b""
    kept = hashlib.sha256(content).hexdigest()
    return [path, list(stored.shape), str(stored.dtype), stored.id.get_storage_size(), kept]
