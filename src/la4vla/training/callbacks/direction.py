"""Asks, at the end of training, whether the policy obeys directions it hears and cannot see."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from la4vla.construction.build import ensure_built
from la4vla.diagnostics.conditions import DirectionFollowing
from la4vla.diagnostics.report import table
from la4vla.training.checkpoints import is_complete
from la4vla.training.whole import whole_policy

LOGGED = ("directional_alignment_rate", "direction_consistency_score")


class DirectionCheck(Callback):
    """Runs the direction-following check on held-out segments with vision masked; only the first process does.

    Loggers receive DAR and DCS as ``direction_following/<condition>/<metric>``. Before training begins the set is
    built from its card where it is missing.

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

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Have the segments there, and cases among them, before hours are spent on a policy to check."""
        ensure_built(self.shards)
        self._check = DirectionFollowing(self.shards, cases=self.cases, seed=self.seed)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the finished policy."""
        if not is_complete(trainer):
            return
        policy = whole_policy(pl_module)
        if not trainer.is_global_zero:
            return
        found = self._check.run(policy)
        self.results = {"direction_following": found, "direction_shards": self.shards}
        metrics = {
            f"direction_following/{condition}/{name}": measured[name]
            for condition, measured in found.items()
            for name in LOGGED
        }
        for logger in trainer.loggers:
            logger.log_metrics(metrics, trainer.global_step)
        self.report = table(found, f"Does it obey blind? {self.shards}, vision masked")
