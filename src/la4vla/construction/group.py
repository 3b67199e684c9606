"""One shard group: consecutive demonstrations, read once and written into the shards of every export."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from la4vla.construction.card import Card
from la4vla.construction.export import Export, encode_frames, episode_record, propose, segment_record
from la4vla.data.files import written_whole
from la4vla.data.readers.base import Key
from la4vla.data.shards import Record, write_shard

PROGRESS = ".progress"


@dataclass(frozen=True)
class Report:
    """What building one group came to: the word that it is done, and counts for the manifests.

    Args:
        declaration: Hash of the card that the group was built from.
        shards: By export, the file written, or None where no record was left to write.
        counts: By export, how many episodes, frames, candidates and records there were.
        dropped: By export, how many demonstrations or segments were dropped, by reason.
    """

    declaration: str
    shards: dict[str, str | None]
    counts: dict[str, dict[str, int]]
    dropped: dict[str, dict[str, int]]

    @property
    def failed(self) -> int:
        """Demonstrations that were given up."""
        return max((d.get("expert failed", 0) for d in self.dropped.values()), default=0)

    @staticmethod
    def path(folder: Path, group: int) -> Path:
        """Where the report of a group lies while its card is being built."""
        return folder / PROGRESS / f"{group:05d}.json"

    @classmethod
    def read(cls, folder: Path, group: int) -> Report | None:
        """The report of a finished group, or None."""
        path = cls.path(folder, group)
        return cls(**json.loads(path.read_bytes())) if path.exists() else None

    def write(self, folder: Path, group: int) -> None:
        """Write this report; its presence says that the group's shards are whole."""
        path = self.path(folder, group)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            file.write(json.dumps(asdict(self)).encode())


def build_group(
    card: Card,
    exports: Mapping[str, Export],
    members: Mapping[str, frozenset[Key]],
    group: int,
    keys: Sequence[Key],
    folder: Path,
    declaration: str,
) -> Report:
    """Read the demonstrations ``keys`` and write group number ``group`` of every export, then its report.

    Args:
        card: The card.
        exports: The exports to write, by name.
        members: By export, the keys that belong to it.
        group: Number of the group, which names its shards.
        keys: The group's demonstrations.
        folder: Parent of the exports' folders.
        declaration: Hash of the card, kept in the report.
    """
    records: dict[str, list[Record]] = {name: [] for name in exports}
    counts = {name: Counter[str]() for name in exports}
    dropped = {name: Counter[str]() for name in exports}
    for key in keys:
        wanted = {name: export for name, export in exports.items() if key in members[name]}
        _read_into(card, wanted, key, records, counts, dropped)
    shards = {name: f"{group:05d}.tar" if rows else None for name, rows in records.items()}
    for name, file in shards.items():
        if file:
            write_shard(folder / name / file, records[name])
    report = Report(
        declaration, shards, {k: dict(v) for k, v in counts.items()}, {k: dict(v) for k, v in dropped.items()}
    )
    report.write(folder, group)
    return report


def _read_into(
    card: Card,
    exports: Mapping[str, Export],
    key: Key,
    records: dict[str, list[Record]],
    counts: dict[str, Counter[str]],
    dropped: dict[str, Counter[str]],
) -> None:
    failed, phases, rejected = Counter[str](), Counter[str](), Counter[str]()
    episode = card.reader.read(key, any(export.frames for export in exports.values()), failed)
    jpegs = encode_frames(episode, card.jpeg_quality)
    segments = []
    if card.segmenter is not None and any(export.unit == "segment" for export in exports.values()):
        segments = propose(episode, card.segmenter, card.consistency, phases, rejected)
    phases += Counter(episodes=1, frames=len(episode))
    for name, export in exports.items():
        seen = jpegs if export.frames else {}
        if export.unit == "segment":
            records[name] += [segment_record(episode, segment, seen) for segment in segments]
            dropped[name] += rejected
        else:
            records[name].append(episode_record(episode, seen))
        dropped[name] += failed
        counts[name] += phases
