"""Finishing a shard set: statistics, the table of phases, and the manifest that says it is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from la4vla.construction.card import Card
from la4vla.construction.export import Export
from la4vla.construction.group import Report
from la4vla.data.manifest import Manifest, ShardEntry
from la4vla.data.shards import Shards, write_manifest
from la4vla.data.statistics import StatisticsStream
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import ViewProfile


def finish_set(
    card: Card, folder: Path, name: str, export: Export, reports: Sequence[Report], declared: Mapping[str, Any]
) -> Manifest:
    """Write the manifest of one export, whose shards are all there; stale shards are removed.

    Args:
        card: The card.
        folder: Where the export's shards lie.
        name: Name of the export.
        export: The export.
        reports: The reports of its groups, in order.
        declared: What the set depends on, for the manifest.

    Raises:
        ValueError: If no record was left to write.
    """
    files = [file for report in reports if (file := report.shards[name]) is not None]
    unusable = [sentence for report in reports for sentence in report.unusable[name]]
    if not files:
        told = f" {len(unusable)} demonstrations were left out, the first so: {unusable[0]}" if unusable else ""
        raise ValueError(
            f"Export {name!r} holds no record: every candidate was dropped. Loosen segmenter or check.{told}"
        )
    counts, dropped = Counter[str](), Counter[str]()
    for report in reports:
        counts.update(report.counts[name])
        dropped.update(report.dropped[name])
    wanted = {Path(file).stem for file in files}
    for path in [*folder.glob("*.tar"), *folder.glob("*.index.npz"), *folder.glob(".*.part")]:
        if path.name.split(".")[0] not in wanted:
            path.unlink()  # left behind by an unfinished build, perhaps of another declaration
    view = card.reader.view if export.frames else None
    return write_manifest(
        folder,
        name=name,
        unit=export.unit,
        domain=_domain(folder, files, card.reader.embodiment, view, export.unit),
        shards=files,
        phases=_phases(export, counts),
        dropped=dropped,
        unusable=unusable,
        card=declared,
    )


def _domain(
    folder: Path, files: Sequence[str], body: Embodiment, view: ViewProfile | None, unit: Literal["segment", "episode"]
) -> Domain:
    """The domain of a set whose shards are all written, its statistics taken from the shards."""
    nothing = np.zeros(0)
    unknown = Statistics(nothing, nothing, nothing, nothing, nothing, nothing, count=0)
    entries = tuple(ShardEntry(file, "", 0, 0) for file in files)
    shards = Shards(folder, Manifest(folder.name, unit, Domain(body, view, unknown, unknown), entries, ""))
    proprioception, actions = StatisticsStream(), StatisticsStream()
    for info, start, stop in zip(shards.records, shards.starts[:-1], shards.starts[1:], strict=True):
        proprioception.update(info.key, shards.proprioception[start:stop])
        actions.update(info.key, shards.actions[start:stop])
    return Domain(body, view, proprioception.finish(), actions.finish())


def _phases(export: Export, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The rows of the paper's Table 3."""
    rows = [("original episodes", counts["episodes"], counts["frames"])]
    if export.unit == "segment":
        rows.append(("candidate segments", counts["candidates"], counts["candidate_frames"]))
        rows.append(("consistent segments", counts["kept"], counts["kept_frames"]))
    if export.ratings is not None:
        rows.append(("verified segments", counts["verified"], counts["verified_frames"]))
    return [
        {"phase": phase, "episodes": n, "frames": frames, "frames_per_episode": round(frames / max(n, 1), 2)}
        for phase, n, frames in rows
    ]
