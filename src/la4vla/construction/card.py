"""A card: the declaration of how shard sets are made, and its reading from YAML."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from la4vla.cli import CardGrammar, card_files
from la4vla.construction.consistency import Consistency
from la4vla.construction.data_check import DataCheck, Evidence
from la4vla.construction.executors.base import Executor
from la4vla.construction.executors.dask_cluster import DaskCluster  # noqa: F401  (short class names in cards)
from la4vla.construction.executors.processes import Processes
from la4vla.construction.executors.slurm_cluster import SlurmCluster  # noqa: F401
from la4vla.construction.export import Export
from la4vla.construction.segmenters.base import Segmenter
from la4vla.construction.segmenters.kinematic import KinematicSegmenter  # noqa: F401  (short class name in cards)
from la4vla.data.place import Place, place
from la4vla.data.readers.base import Reader

# What says how to build, not what; the shards' bytes do not depend on it.
MEANS = ("data_check", "processes", "executor", "folder", "license", "config", "dry_run", "source_changed")


@dataclass(frozen=True)
class Card:
    """What data exists and how it is made.

    Args:
        reader: Where demonstrations come from.
        exports: The shard sets, by name. Exports that share demonstrations are written in one pass.
        segmenter: What cuts them into atomic actions; needed by exports of segments.
        consistency: The check that a segment must pass; None keeps every segment.
        data_check: What demonstrations that are segmented are asked, whether they are as the embodiment says; None
            asks nothing.
        jpeg_quality: From 1 to 100; 95 shows no artefacts at 64 pixels.
        episodes_per_shard: Demonstrations in one shard, the unit of parallel work and of resuming.
        processes: Worker processes; None takes one per available core.
        executor: Who builds instead of worker processes here.
        folder: Where the sets go, a URL of an object store perhaps; None takes the folder beside the card that bears
            its name.
        license: Under which the data may be used, as an SPDX or hub name; the data card tells it.
        dry_run: Say what segmenting would cost and build nothing.
        source_changed: What becomes of finished sets whose source has changed since: ``ask`` refuses and says what is
            different, ``rebuild`` makes them anew, ``keep`` leaves them as they are for good, fits included.

    Raises:
        ValueError: If a number is out of range, an export of segments has no segmenter, one of frames no view, or too
            little is known of the body to segment.
    """

    reader: Reader
    exports: dict[str, Export]
    segmenter: Segmenter | None = None
    consistency: Consistency | None = field(default_factory=Consistency)
    data_check: DataCheck | None = field(default_factory=DataCheck)
    jpeg_quality: int = 95
    episodes_per_shard: int = 20
    processes: int | None = None
    executor: Executor | None = None
    folder: str | None = None
    license: str | None = None
    dry_run: bool = False
    source_changed: Literal["ask", "rebuild", "keep"] = "ask"

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must lie in 1..100, got {self.jpeg_quality}.")
        if self.episodes_per_shard < 1 or (self.processes is not None and self.processes < 1):
            raise ValueError("episodes_per_shard and processes must be at least 1.")
        if not self.exports:
            raise ValueError("The card has no exports, so there is nothing to build.")
        for name, export in self.exports.items():
            if export.unit == "segment" and self.segmenter is None:
                raise ValueError(f"Export {name!r} is of segments, but the card has no segmenter.")
            if export.frames and self.reader.view is None:
                raise ValueError(f"Export {name!r} wants frames, but the reader has no view.")
            self.reader.keys(export.tasks, export.episodes)
        if self.segmenter is not None and any(export.unit == "segment" for export in self.exports.values()):
            self.segmenter.check(self.reader.embodiment)
            if self.consistency is not None:
                self.consistency.check(self.reader.embodiment)

    def examine(self, evidence: Evidence) -> None:
        """Hold the ``evidence`` of demonstrations against what the embodiment says of them.

        Raises:
            ValueError: If they contradict it.
        """
        if self.data_check is not None and self.segmenter is not None:
            self.data_check.judge(evidence, self.reader.embodiment, self.segmenter.metres_per_unit)

    @property
    def builders(self) -> Executor:
        """Who builds."""
        return self.executor or Processes(self.processes or len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Declaration:
    """A card with its own words.

    Args:
        card: The card, with the exports that can be built now.
        words: What the manifest keeps.
        folder: Where the sets go.
        waiting: By export that cannot be built yet, a sentence saying what it waits for.
    """

    card: Card
    words: Mapping[str, Any]
    folder: Place
    waiting: Mapping[str, str] = field(default_factory=dict)


def read_card(words: Sequence[str]) -> Declaration:
    """Parse ``card.yaml [key=value ...]``.

    Raises:
        ValueError: If no card is named, its parts do not fit together, or all of its exports wait for ratings.
        FileNotFoundError: If the card does not exist.
    """
    files = card_files(words, "Name the card to build from, for example shards/metaworld.yaml.")
    parser = CardGrammar(prog="python -m la4vla.construct", exit_on_error=True)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Card, as_group=False)
    config = parser.parse_args(list(words))
    declared = yaml.safe_load(parser.dump(config, skip_none=False))
    card: Card = Card(**{k: v for k, v in vars(parser.instantiate_classes(config)).items() if k != "config"})
    folder = place(card.folder) if card.folder else Path(files[0]).with_suffix("")
    waiting = {
        name: f"Export {name!r} waits for the ratings {export.ratings.path}: rate the segments with "
        f"python -m la4vla.verify {files[0]}, and write them there with export_to={export.ratings.path}."
        for name, export in card.exports.items()
        if export.ratings is not None and not export.ratings.ready
    }
    ready = {name: export for name, export in card.exports.items() if name not in waiting}
    if not ready:
        raise ValueError(next(iter(waiting.values())))
    for name, export in ready.items():
        if export.ratings is not None:  # what they say is what the set depends on, not where they lie
            declared["exports"][name]["ratings"] |= {"path": None, "sha256": export.ratings.sha256}
    kept = {key: value for key, value in declared.items() if key not in MEANS}
    return Declaration(replace(card, exports=ready), kept, folder, waiting)
