"""Finished evaluations, read back from the folders they left."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from la4vla.evaluation.outcomes import Outcome, read_outcomes


@dataclass(frozen=True)
class EvaluatedRun:
    """One policy on one benchmark, disturbed or not.

    Args:
        source: The table of outcomes it was read from.
        outcomes: At least one, all of one policy, benchmark and perturbation.
        pretraining: Name of the run the policy began from, or None where nothing is told.
        films: MP4 files of its episodes.
        identity: What tells the policy's weights from others, or None where nothing is told.
    """

    source: Path
    outcomes: tuple[Outcome, ...]
    pretraining: str | None
    films: tuple[Path, ...]
    identity: str | None = None

    @property
    def episodes(self) -> frozenset[tuple[str, int]]:
        """Task and seed of every episode."""
        return frozenset(outcome.episode for outcome in self.outcomes)

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.outcomes[0].policy

    @property
    def setting(self) -> tuple[str, str]:
        """Benchmark and perturbation: what runs must share to stand in one table."""
        return self.outcomes[0].benchmark, self.outcomes[0].perturbation


def read_runs(paths: Sequence[str | Path]) -> list[EvaluatedRun]:
    """Every evaluation under ``paths``: tables of outcomes, or folders that hold some at any depth.

    Evaluations made while a run trained, in folders ``step_<n>``, are of one policy that goes on changing: each has its
    step in the policy's name.

    Raises:
        ValueError: If there is none under a path, or one is unfinished or mixes policies.
    """
    runs = []
    for path in map(Path, paths):
        tables = [path] if path.suffix == ".csv" else sorted(path.glob("**/outcomes.csv"), key=_by_number)
        if not tables or not path.exists():
            raise ValueError(f"There is no evaluation in {path}: name folders that hold outcomes.csv, or CSV files.")
        runs += [_read(table) for table in tables]
    return runs


def _by_number(path: Path) -> list[tuple[str, int]]:
    """A key that sorts ``noise_25`` before ``noise_100``."""
    parts = re.split(r"(\d+)", str(path))
    return [(part, int(number or 0)) for part, number in zip(parts[::2], [*parts[1::2], ""], strict=True)]


def _read(table: Path) -> EvaluatedRun:
    outcomes = tuple(read_outcomes(table))
    told = table.with_name("evaluation.json")
    journaled = table.name == "outcomes.csv" and told.exists()
    facts: dict[str, Any] = json.loads(told.read_text()) if journaled else {"finished": True}
    if "finished" not in facts or not outcomes:
        raise ValueError(
            f"The evaluation in {table.parent} is unfinished with {len(outcomes)} episodes; run its command again."
        )
    if len({(outcome.policy, outcome.benchmark, outcome.perturbation) for outcome in outcomes}) > 1:
        raise ValueError(f"{table} mixes policies, benchmarks or perturbations; give each a table of its own.")
    films = tuple(sorted((table.parent / "videos").glob("*.mp4"))) if table.name == "outcomes.csv" else ()
    if step := re.fullmatch(r"step_(\d+)", table.parent.name):
        outcomes = tuple(replace(outcome, policy=f"{outcome.policy}, step {step[1]}") for outcome in outcomes)
    return EvaluatedRun(table, outcomes, facts.get("pretraining"), films, facts.get("settings", {}).get("identity"))
