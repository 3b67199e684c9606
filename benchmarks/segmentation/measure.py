"""How true the kinematic segmenter is, against what the simulators know.

    python benchmarks/segmentation/measure.py metaworld [--first 1000] [--episodes 2] [--csv metaworld.csv]
    python benchmarks/segmentation/measure.py libero [--first 1000] [--episodes 1]

Demonstrations are those of the readers, `--episodes` a task from number `--first` on, which decides their placements
and noise; the settings were chosen on numbers 0 to 2 and are reported on 1000 and later, which no shard set holds. The
segmenter is the one of the simulator's card. No picture is rendered. LIBERO's expert takes about five seconds an
episode, and a task that it fails ten times is left out and said so.

Rows of the table, each with its count and a Wilson interval at 95 % where it is a share:

- ``direction <primitive>``: segments whose first direction word has a positive component of the hand's true
  displacement, from its first step to the step after its last.
- ``status``: steps at which the segmenter's HOLDING or EMPTY is the simulator's: HOLDING where some part of each of
  the two fingers, pads included, is in contact with the same body that has a joint of its own and is not the robot's.
  No contact is smoothed. ``status of segments``: segments whose primitive has a status, and at least half of whose
  steps have it.
- ``contact <primitive>``: segments during at least half of whose steps the robot touches a movable body, gaps under
  0.1 s closed. ``driving found``: stretches of at least 0.1 s in which the robot drives a body it does not hold (see
  phases.py) that overlap one of these segments.
- ``boundary F1``, precision and recall within 0.2 s of the boundaries that phases.py derives.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from agreement import f1, matched, wilson
from phases import CHATTER_S, boundaries, driven, merged, spans, steady
from witness import Truth, WitnessedLibero, WitnessedMetaworld, witnessed

from la4vla.construction.segmenters.kinematic import KinematicSegmenter
from la4vla.data.files import written_whole
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import DEFINITIONS, Context, Status

TOLERANCE_S = 0.2


class Score:
    """Counts of hits and trials by row of the table, over episodes."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.pairs = self.found = self.true = self.episodes = 0

    def add(self, episode: Episode, truth: Truth, segments: list[Segment], holding: np.ndarray) -> None:
        """Judge one episode's segments and status."""
        hz = episode.embodiment.control_hz
        held = truth.touches.all(axis=2).any(axis=1)
        touched = steady(truth.robot.any(axis=1), CHATTER_S * hz) | truth.robot.any(axis=1)
        self._count("status", int((held == holding).sum()), len(episode))
        interactions = []
        for segment in segments:
            row, steps = DEFINITIONS[segment.primitive], slice(segment.start, segment.stop)
            if segment.directions:
                last = min(segment.stop, len(episode) - 1)
                along = (truth.hand[last] - truth.hand[segment.start]) @ episode.embodiment.direction(
                    segment.directions[0]
                )
                self._count(f"direction {segment.primitive}", int(along > 0), 1)
            if row.status is not None:
                self._count("status of segments", int(np.mean(held[steps] == (row.status is Status.HOLDING)) >= 0.5), 1)
            if row.context is Context.CONTACT:
                interactions.append(segment)
                self._count(f"contact {segment.primitive}", int(touched[steps].mean() >= 0.5), 1)
        for start, stop in spans(driven(truth, hz).any(axis=1)):
            if stop - start >= CHATTER_S * hz:
                hit = any(segment.start < stop and segment.stop > start for segment in interactions)
                self._count("driving found", int(hit), 1)
        bounds = merged([step for s in segments for step in (s.start, s.stop)], len(episode), hz)
        true = boundaries(truth, hz)
        self.pairs += matched(bounds, true, TOLERANCE_S * hz)
        self.found, self.true, self.episodes = self.found + len(bounds), self.true + len(true), self.episodes + 1

    def rows(self, simulator: str) -> list[dict[str, object]]:
        """The table."""
        table: list[dict[str, object]] = []
        for what, (hits, n) in sorted(self.counts.items()):
            low, high = wilson(hits, n)
            table.append(_row(simulator, what, hits / n, n, low, high))
        for what, hits, n in (("precision", self.pairs, self.found), ("recall", self.pairs, self.true)):
            low, high = wilson(hits, n)
            table.append(_row(simulator, f"boundary {what}", hits / max(n, 1), n, low, high))
        table.append(_row(simulator, "boundary F1", f1(self.pairs, self.found, self.true), self.true))
        table.append(_row(simulator, "episodes", self.episodes, self.episodes))
        return table

    def _count(self, what: str, hits: int, n: int) -> None:
        self.counts[what][0] += hits
        self.counts[what][1] += n


def _row(
    simulator: str, what: str, value: float, n: int, low: float | None = None, high: float | None = None
) -> dict[str, object]:
    ends = {"low": "" if low is None else round(low, 4), "high": "" if high is None else round(high, 4)}
    return {"simulator": simulator, "what": what, "value": round(value, 4), "n": n, **ends}


def demonstrations(reader: Any, first: int, episodes: int) -> Iterable[tuple[Episode, Truth]]:
    """The reader's demonstrations with their truth; a task whose expert gives up is named and left out."""
    for task in reader.tasks:
        for index in range(first, first + episodes):
            try:
                yield witnessed(reader, task, index)
            except ValueError as failure:
                print(failure)
                break


def segmenter_of(simulator: str) -> KinematicSegmenter:
    """The segmenter as the simulator's card sets it."""
    from jsonargparse import ArgumentParser
    from yaml import safe_load

    card = safe_load((Path(__file__).parents[2] / "shards" / f"{simulator}.yaml").read_text())
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(KinematicSegmenter, "segmenter")
    settings = parser.parse_object({"segmenter": card["segmenter"].get("init_args", {})})
    built: KinematicSegmenter = parser.instantiate_classes(settings).segmenter
    return built


def write_rows(rows: list[dict[str, object]], path: Path) -> None:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("simulator", choices=["metaworld", "libero"])
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    if options.simulator == "metaworld":
        reader: Any = WitnessedMetaworld(tasks="all", action_noise=0.1)
    else:
        reader = WitnessedLibero(tasks=["spatial", "object"], action_noise=0.1)
    segmenter, score = segmenter_of(options.simulator), Score()
    for episode, truth in demonstrations(reader, options.first, options.episodes):
        score.add(episode, truth, segmenter.segment(episode), segmenter.holding(episode))
    rows = score.rows(options.simulator)
    for row in rows:
        print(f"{row['what']:<24} {row['value']:>8}  n {row['n']:>6}  {row['low']} {row['high']}")
    if options.csv:
        write_rows(rows, options.csv)


if __name__ == "__main__":
    main()
