"""Fingerprints of the episodes of a LeRobot data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from la4vla.data.readers.fingerprint import Fingerprint, digest_of, file_digest
from la4vla.data.readers.lerobot_meta import EpisodeEntry, LeRobotMeta
from la4vla.data.readers.lerobot_pictures import files_beside
from la4vla.data.readers.lerobot_rows import ALWAYS

with suppress(ImportError):  # the reader's constructor says what to install
    import pyarrow as pa
    import pyarrow.parquet as pq


def fingerprints_of(
    meta: LeRobotMeta, episodes: Iterable[int], columns: Sequence[str], cameras: Sequence[str]
) -> list[Fingerprint]:
    """The fingerprints of ``episodes``: instructions, rows of ``columns``, films or pictures of ``cameras``.

    Rows that share a file, as in version 3.0, are hashed episode by episode, so that one that was added to the file
    changes no other; of films the file is looked at, of pictures beside the parquet file their names and sizes.
    """
    digest = cache(file_digest)
    entries = [meta.episodes[index] for index in episodes]
    pictured = [key for key in cameras if meta.features[key]["dtype"] == "image"]
    rows = _rows(entries, (*ALWAYS, *columns)) if meta.version.startswith("v3") else {}
    found = []
    for entry in entries:
        films = [entry.videos[key] for key in cameras if key in entry.videos]
        digests = [digest(path) for path, _ in films]
        if pictured or entry.index not in rows:
            digests.append(digest(entry.data))
        for path in (path for key in pictured for path in files_beside(meta.root, entry, key)):
            digests.append(
                f"{path.relative_to(meta.root) if path.is_relative_to(meta.root) else path} {path.stat().st_size}"
            )
        words = [_words(meta, entry), [start for _, start in films], rows.get(entry.index), digests]
        whole = digest_of(*words) if entry.data.is_file() and all(digests) else ""
        found.append(Fingerprint(f"{entry.index:06d}", whole))
    return found


def _words(meta: LeRobotMeta, entry: EpisodeEntry) -> list[Any]:
    """What is told of an episode; the whole list of tasks where it cannot be known which of them is its own."""
    own = sorted(index for index, text in meta.tasks.items() if text in entry.tasks)
    return [entry.tasks, entry.length, meta.fps, own or sorted(meta.tasks.items())]


def _rows(entries: Sequence[EpisodeEntry], columns: Sequence[str]) -> dict[int, str]:
    """By episode, a hash of its rows; none of episodes whose file cannot be read."""
    hashed: dict[int, str] = {}
    for path in dict.fromkeys(entry.data for entry in entries):
        try:
            with pq.ParquetFile(path) as file:
                names = set(file.schema_arrow.names)
                table = file.read(columns=[name for name in dict.fromkeys(columns) if name in names])
            owner = table["episode_index"].to_numpy()
        except (pa.ArrowException, OSError, KeyError):
            continue  # whoever reads it will say so
        for entry in entries:
            if entry.data == path:
                hashed[entry.index] = _hash(table.take(np.flatnonzero(owner == entry.index)))
    return hashed


def _hash(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as stream:
        stream.write_table(table.replace_schema_metadata(None).combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]
