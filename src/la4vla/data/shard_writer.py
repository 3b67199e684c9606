"""Demonstrations into shards: WebDataset tars, an index beside each, and the manifest that finishes a set.

The format is described in ``docs/shard_format.md``; :mod:`la4vla.data.shards` reads it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import webdataset

from la4vla.data.composition import Composition
from la4vla.data.files import sha256_of, written_whole
from la4vla.data.manifest import Manifest, ShardEntry, content_hash
from la4vla.data.place import Place, is_remote, place
from la4vla.data.record import Record, parse_npy
from la4vla.data.shard_index import ShardIndex, index_path
from la4vla.data.shards import Shards
from la4vla.schema.statistics import Domain


def write_shard(path: str | Place, records: Iterable[Record], *, contended: bool = False) -> ShardEntry:
    """Write ``records`` to the tar ``path`` and its index beside it; equal records give equal bytes.

    Args:
        path: Of the tar, here or in an object store.
        records: What it holds.
        contended: Whether another process may write the same shard at the same time.

    Returns:
        What the manifest says of this shard.

    Raises:
        ValueError: If a record does not fit together (names, lengths, frames, finite numbers).
        OSError: If the disk is full. In either case nothing is left under the final names.
    """
    path = place(path)
    if not is_remote(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    cameras: set[frozenset[str]] = set()
    steps = 0
    with written_whole(path, contended=contended) as tar:
        with webdataset.TarWriter(tar, encoder=False, mtime=0, user="la4vla", group="la4vla") as writer:
            for record in records:
                _check_fits(record, seen, cameras)
                writer.write(record.members())
                steps += len(record)
        # the tar is safe on disk before its index takes its name, so that a full disk leaves neither
        tar.flush()
        os.fsync(tar.fileno())
        index = ShardIndex.scan(tar)
        with written_whole(index_path(path), contended=contended) as file:
            index.write(file)
        tar.seek(0)
        digest = hashlib.file_digest(tar, "sha256").hexdigest()
    return ShardEntry(file=path.name, sha256=digest, records=len(index.keys), steps=steps)


def write_index(tar: str | Path) -> None:
    """Make the index of an existing tar again."""
    with open(tar, "rb") as stream, written_whole(index_path(Path(tar))) as file:
        ShardIndex.scan(stream).write(file)


def write_manifest(
    folder: str | Place,
    *,
    name: str,
    unit: Literal["segment", "episode"],
    domain: Domain,
    shards: Sequence[str | ShardEntry],
    phases: Sequence[Mapping[str, Any]] = (),
    dropped: Mapping[str, int] | None = None,
    unusable: Sequence[str] = (),
    composition: Composition | None = None,
    card: Mapping[str, Any] | None = None,
    source: str | None = None,
) -> Manifest:
    """Check the shards of a set, all inside ``folder``, and finish it with its manifest.

    Shards are given by file name, or by what :func:`write_shard` said of them; an object store wants the latter, and is
    asked only whether they are there.

    Raises:
        FileNotFoundError: If a shard is missing.
        ValueError: If a shard does not agree with ``domain``.
    """
    folder = place(folder)
    entries = tuple(s if isinstance(s, ShardEntry) else _describe(Path(str(folder / s))) for s in shards)
    manifest = Manifest(
        name=name,
        unit=unit,
        domain=domain,
        shards=entries,
        content_hash=content_hash(entries),
        phases=[dict(row) for row in phases],
        dropped=dict(dropped or {}),
        unusable=list(unusable),
        composition=composition or Composition(),
        card=dict(card or {}),
        source=source,
    )
    if is_remote(folder):
        _check_there(folder, entries)
    else:
        Shards(folder, manifest)
    manifest.write(folder)
    return manifest


def _check_fits(record: Record, seen: set[str], cameras: set[frozenset[str]]) -> None:
    """Check ``record`` by itself and against the records before it in its shard."""
    record.check()
    if record.key in seen:
        raise ValueError(f"Record key {record.key} occurs twice in one shard; keys must be unique in a set.")
    seen.add(record.key)
    if record.images:
        cameras.add(frozenset(record.images))
    if len(cameras) > 1:
        raise ValueError(f"Record {record.key} has frames of other cameras than the records before it in its shard.")


def _check_there(folder: Place, entries: Sequence[ShardEntry]) -> None:
    found = {path.name for path in folder.iterdir()}
    for entry in entries:
        for file in (entry.file, index_path(Path(entry.file)).name):
            if file not in found:
                raise FileNotFoundError(f"Shard file {folder / file} is missing. Build the set again.")


def _describe(tar: Path) -> ShardEntry:
    index = ShardIndex.read(tar)
    with open(tar, "rb") as file:
        steps = 0
        for offset, size in index.low_dim[:, 2].tolist():
            file.seek(offset)
            steps += len(parse_npy(file.read(size)))
    return ShardEntry(file=tar.name, sha256=sha256_of(tar), records=len(index.keys), steps=steps)
