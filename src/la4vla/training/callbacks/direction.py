"""Asks, at the end of training, whether the policy obeys directions it hears and cannot see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.table import Table

from la4vla.diagnostics.conditions import DirectionFollowing


class DirectionCheck(Callback):
    """Runs the direction-following check on held-out segments with vision masked; only the first process does.

    Args:
        shards: An LA shard set of tasks the policy was never trained on.
        cases: Number of direction-following cases.
        seed: Seed of the choice of cases.
    """

    def __init__(self, shards: str, cases: int = 1000, seed: int = 0) -> None:
        self.shards = shards
        self.cases = cases
        self.seed = seed
        self.results: dict[str, Any] = {}
        self.report: Any = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the finished policy."""
        if trainer.interrupted or not trainer.is_global_zero:
            return
        check = DirectionFollowing(self.shards, cases=self.cases, seed=self.seed)
        found = check.run(pl_module.policy)
        self.results = {"direction_following": found}
        self.report = direction_table(found, f"Does it obey blind? {self.shards}, vision masked")


def direction_table(found: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """One row per condition: DAR with its 95 % Wilson interval, DCS, and how well directions separate."""
    table = Table(title=title, title_justify="left")
    for heading in ("condition", "cases", "DAR", "95 % interval", "DCS", "separability", "silhouette"):
        table.add_column(heading, justify="left" if heading == "condition" else "right")
    for condition, values in found.items():
        rate = "directional_alignment_rate"
        table.add_row(
            condition.replace("_", " "),
            f"{values['cases']:.0f}",
            f"{values[rate]:.3f}",
            f"{values[rate + '_low']:.3f} - {values[rate + '_high']:.3f}",
            f"{values['direction_consistency_score']:.3f}",
            f"{values.get('separability_ratio', float('nan')):.2f}",
            f"{values.get('silhouette_score', float('nan')):.2f}",
        )
    return table
