"""Finishing a shard set: statistics, the table of phases, and the manifest that says it is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from la4vla.construction.card import Card
from la4vla.construction.export import Export
from la4vla.construction.group import Report
from la4vla.data.composition import Composition
from la4vla.data.files import written_whole
from la4vla.data.manifest import Manifest
from la4vla.data.origin import ORIGIN_NAME, Origin
from la4vla.data.place import Place
from la4vla.data.shard_writer import write_manifest
from la4vla.data.statistics import StatisticsStream
from la4vla.schema.statistics import Domain, Statistics

LEFT_OUT = "left_out.txt"
# What a build may leave behind: tars are called by the number of their group, and nobody else's are touched.
NUMBER = "[0-9]" * 5
LEFT_BEHIND = (f"{NUMBER}.tar", f"{NUMBER}.index.npz", f".{NUMBER}.*.part", LEFT_OUT)


def finish_set(
    card: Card,
    folder: Place,
    name: str,
    export: Export,
    reports: Sequence[Report],
    declared: Mapping[str, Any],
    origin: Origin | None = None,
) -> Manifest:
    """Write the manifest of one export, whose shards are all there; stale shards are removed.

    Args:
        card: The card.
        folder: Where the export's shards lie.
        name: Name of the export.
        export: The export.
        reports: The reports of its groups, in order.
        declared: What the set depends on, for the manifest.
        origin: The demonstrations it was made from, where they lie in files.

    Raises:
        ValueError: If no record was left to write.
    """
    shards = [entry for report in reports if (entry := report.shards[name]) is not None]
    unusable = [sentence for report in reports for sentence in report.unusable[name]]
    counts, dropped, composition = Counter[str](), Counter[str](), Composition()
    for report in reports:
        composition += report.composition[name]
        counts.update(report.counts[name])
        dropped.update(report.dropped[name])
    if not shards:
        told = _listed(folder / LEFT_OUT, unusable)
        raise ValueError(f"Export {name!r} holds no record: {_emptiness(export, counts, dropped)}{told}")
    wanted = {entry.file.split(".")[0] for entry in shards}
    for path in [found for kind in (*LEFT_BEHIND, ORIGIN_NAME) for found in folder.glob(kind)]:
        if path.name.split(".")[0] not in wanted:
            path.unlink()  # left behind by an unfinished build, perhaps of another declaration
    view = card.reader.view if export.frames else None
    if origin is not None:
        origin.write(folder)
    return write_manifest(
        folder,
        name=name,
        unit=export.unit,
        domain=Domain(card.reader.embodiment, view, *_statistics(folder.parent, reports, name)),
        shards=shards,
        phases=_phases(export, counts),
        dropped=dropped,
        unusable=unusable,
        composition=composition,
        card=declared,
        source=origin.digest if origin is not None else None,
    )


def _emptiness(export: Export, counts: Mapping[str, int], dropped: Mapping[str, int]) -> str:
    """Why a set is empty: where on the way from demonstrations to records nothing was left."""
    if export.unit == "episode" or not counts["episodes"]:
        return "no demonstration could be used."
    if not counts["candidates"]:
        return f"the segmenter found nothing in {counts['episodes']} demonstrations."
    reasons = ", ".join(f"{reason}: {number}" for reason, number in sorted(dropped.items()))
    return f"every candidate was dropped ({reasons}). Loosen segmenter or check."


def _listed(path: Place, unusable: Sequence[str]) -> str:
    """Write why each demonstration was left out, since no manifest will tell; a sentence about that."""
    if not unusable:
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write("".join(f"{sentence}\n" for sentence in unusable).encode())
    return f" {len(unusable)} demonstrations were left out, each for the reason in {path}, the first so: {unusable[0]}"


def _statistics(folder: Place, reports: Sequence[Report], name: str) -> tuple[Statistics, Statistics]:
    """Of proprioception and of actions, over all groups, one group at a time.

    Raises:
        ValueError: If two groups hold a record of one key.
    """
    whole = StatisticsStream(), StatisticsStream()
    for report in reports:
        for stream, part in zip(whole, report.streams(folder, name), strict=True):
            stream.merge(part)
    return whole[0].finish(), whole[1].finish()


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
