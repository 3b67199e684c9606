"""One shard group: consecutive demonstrations, read once and written into the shards of every export."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from la4vla.construction.card import Card
from la4vla.construction.data_check import Evidence
from la4vla.construction.export import Export, Jpegs, checked, encode_frames, episode_record, segment_record
from la4vla.construction.segmenters.base import Pending
from la4vla.data.composition import Composition
from la4vla.data.files import written_whole
from la4vla.data.manifest import ShardEntry
from la4vla.data.place import Place, is_remote
from la4vla.data.readers.base import Key
from la4vla.data.shard_writer import write_shard
from la4vla.data.shards import Record
from la4vla.data.statistics import StatisticsStream
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.episode import Episode

PROGRESS = ".progress"
PARTS = ("proprioception", "actions")
Streams = tuple[StatisticsStream, StatisticsStream]


@dataclass(frozen=True)
class Report:
    """What building one group came to: the word that it is done, and what the manifests are made of.

    Args:
        declaration: Hash of the card and of the demonstrations that the group was built from.
        group: Number of the group.
        shards: By export, the shard written, or None where no record was left to write.
        counts: By export, how many episodes, frames, candidates and records there were.
        dropped: By export, how many demonstrations or segments were dropped, by reason.
        unusable: By export, a sentence for each demonstration that was left out or not segmented.
        composition: By export, what its records are.
        evidence: What the demonstrations that are segmented show of their embodiment, as plain JSON values.
    """

    declaration: str
    group: int
    shards: dict[str, ShardEntry | None]
    counts: dict[str, dict[str, int]]
    dropped: dict[str, dict[str, int]]
    unusable: dict[str, list[str]]
    composition: dict[str, Composition]
    evidence: dict[str, Any]

    @property
    def failed(self) -> int:
        """Demonstrations that were given up."""
        return max(
            (d.get("expert failed", 0) + len(self.unusable[name]) for name, d in self.dropped.items()), default=0
        )

    @staticmethod
    def path(folder: Place, group: int) -> Place:
        """Where the report of a group lies while its card is being built; its statistics lie beside it."""
        return folder / PROGRESS / f"{group:05d}.json"

    @classmethod
    def read(cls, folder: Place, group: int) -> Report | None:
        """The report of a finished group, or None."""
        path = cls.path(folder, group)
        if not (path.exists() and path.with_suffix(".npz").exists()):
            return None
        words = json.loads(path.read_bytes())
        words["shards"] = {name: ShardEntry(**entry) if entry else None for name, entry in words["shards"].items()}
        words["composition"] = {name: Composition(**counts) for name, counts in words["composition"].items()}
        return cls(**words)

    def write(self, folder: Place, streams: Mapping[str, Streams]) -> None:
        """Write this report; its presence says that the group's shards are whole.

        Args:
            folder: Parent of the exports' folders.
            streams: By export, the statistics of its proprioception and of its actions.
        """
        path = self.path(folder, self.group)
        if not is_remote(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{name}/{part}/{key}": array
            for name, pair in streams.items()
            for part, stream in zip(PARTS, pair, strict=True)
            for key, array in stream.to_arrays().items()
        }
        with written_whole(path.with_suffix(".npz"), contended=True) as file:
            np.savez(file, allow_pickle=False, **arrays)
        with written_whole(path, contended=True) as file:
            file.write(json.dumps(asdict(self)).encode())

    def holds(self, folder: Place, names: Iterable[str]) -> bool:
        """Whether the shards of the exports ``names`` were written and are still there; a set may have been removed.

        Where demonstrations came to nothing there is no shard either, but that is worth another try: what was wrong
        with them, or with the code that read them, may have been mended.
        """
        return all(self._has(folder, name) for name in names)

    def _has(self, folder: Place, name: str) -> bool:
        if (entry := self.shards.get(name)) is not None:
            return (folder / name / entry.file).exists()
        return name in self.shards and not (self.counts[name] or self.dropped[name])

    def streams(self, folder: Place, name: str) -> Streams:
        """The statistics of export ``name`` in this group, read from where :meth:`write` put them."""
        with (
            self.path(folder, self.group).with_suffix(".npz").open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            return _stream(arrays, f"{name}/{PARTS[0]}/"), _stream(arrays, f"{name}/{PARTS[1]}/")


def _stream(arrays: Mapping[str, np.ndarray], prefix: str) -> StatisticsStream:
    return StatisticsStream.from_arrays(
        {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
    )


def build_group(
    card: Card,
    exports: Mapping[str, Export],
    members: Mapping[str, frozenset[Key]],
    group: int,
    keys: Sequence[Key],
    folder: Place,
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
        declaration: Hash of the card and of the demonstrations, kept in the report.
    """
    records: dict[str, list[Record]] = {name: [] for name in exports}
    counts = {name: Counter[str]() for name in exports}
    dropped = {name: Counter[str]() for name in exports}
    unusable: dict[str, list[str]] = {name: [] for name in exports}
    begun: list[_Demonstration] = []
    evidence = Evidence.none()
    try:
        for key in keys:
            wanted = {name: export for name, export in exports.items() if key in members[name]}
            try:
                begun.append(_begin(card, wanted, key))
            except UnusableEpisode as fault:
                for name in wanted:
                    dropped[name][fault.reason] += 1
                    unusable[name].append(str(fault))
            else:
                evidence = _examined(card, evidence, begun[-1])
        for demonstration in begun:
            _finish(card, demonstration, records, counts, dropped, unusable)
    finally:
        for demonstration in begun:
            if demonstration.segments is not None:
                demonstration.segments.cancel()
    shards = {
        name: write_shard(folder / name / f"{group:05d}.tar", rows, contended=True) if rows else None
        for name, rows in records.items()
    }
    composition = {name: Composition.of((record, len(record)) for record in rows) for name, rows in records.items()}
    counted, left_out = ({k: dict(v) for k, v in each.items()} for each in (counts, dropped))
    report = Report(declaration, group, shards, counted, left_out, unusable, composition, evidence.to_json())
    report.write(folder, {name: _statistics(rows) for name, rows in records.items()})
    return report


def _statistics(records: Sequence[Record]) -> Streams:
    proprioception, actions = StatisticsStream(), StatisticsStream()
    for record in records:
        proprioception.update(record.key, record.proprioception)
        actions.update(record.key, record.actions)
    return proprioception, actions


@dataclass(frozen=True)
class _Demonstration:
    """One demonstration that was read, without raw frames, and its segments on their way, where any are wanted."""

    exports: Mapping[str, Export]
    episode: Episode
    jpegs: Jpegs
    segments: Pending | None
    failed: Counter[str]


def _examined(card: Card, evidence: Evidence, demonstration: _Demonstration) -> Evidence:
    """``evidence`` with that of one more demonstration, if it is segmented; refused where it is enough to refuse."""
    if demonstration.segments is None:
        return evidence
    evidence += Evidence.of(demonstration.episode)
    if card.data_check is not None and evidence.episodes >= card.data_check.first_episodes:
        card.examine(evidence)
    return evidence


def _begin(card: Card, exports: Mapping[str, Export], key: Key) -> _Demonstration:
    failed = Counter[str]()
    shown = any(export.frames for export in exports.values())
    segmenter = card.segmenter if any(export.unit == "segment" for export in exports.values()) else None
    episode = card.reader.read(key, shown or (segmenter is not None and segmenter.needs_frames), failed)
    jpegs = encode_frames(episode, card.jpeg_quality) if shown else {}
    segments = segmenter.begin(episode) if segmenter is not None else None
    return _Demonstration(exports, replace(episode, frames={}), jpegs, segments, failed)


def _finish(
    card: Card,
    demonstration: _Demonstration,
    records: dict[str, list[Record]],
    counts: dict[str, Counter[str]],
    dropped: dict[str, Counter[str]],
    unusable: dict[str, list[str]],
) -> None:
    episode, jpegs, phases, rejected = demonstration.episode, demonstration.jpegs, Counter[str](), Counter[str]()
    segments, sentence = [], ""
    if demonstration.segments is not None:
        try:
            segments = checked(episode, demonstration.segments.result(), card.consistency, phases, rejected)
        except UnusableEpisode as fault:
            rejected[f"not segmented: {fault.reason}"] += 1
            sentence = str(fault)
    phases += Counter(episodes=1, frames=len(episode))
    for name, export in demonstration.exports.items():
        seen = jpegs if export.frames else {}
        if export.unit == "segment":
            kept = segments
            if export.ratings is not None:
                kept, strays = export.ratings.retained(episode, segments, counts[name], dropped[name])
                unusable[name] += strays
            records[name] += [segment_record(episode, segment, seen) for segment in kept]
            dropped[name] += rejected
            unusable[name] += [sentence] if sentence else []
        else:
            records[name].append(episode_record(episode, seen))
        dropped[name] += demonstration.failed
        counts[name] += phases
