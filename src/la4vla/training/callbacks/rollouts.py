"""Rolls the policy out in a benchmark, at the end of training and on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng

from la4vla.evaluation.benchmark import Benchmark
from la4vla.evaluation.report import table
from la4vla.evaluation.result import BenchmarkResult
from la4vla.evaluation.suitability import check_policy
from la4vla.training.callbacks.logged_film import log_film
from la4vla.training.checkpoints import is_complete
from la4vla.training.module import policy_module
from la4vla.training.whole import whole_policy


class BenchmarkRollouts(Callback):
    """Runs a benchmark with the policy under training; the first process does, the others wait for it.

    Writes one row per episode, a report and films into ``<run>/<benchmark>/step_<n>`` and logs ``success_rate``, which
    every process then has among its metrics, with the ends of its interval, each group's rate and the first film. All
    random generators are left as they were, so a run with rollouts learns exactly what one without learns. An
    interrupted evaluation goes on where it stopped, should the run come by that step with the same weights again.

    With several processes the benchmark must be over before the process group's timeout (30 minutes unless set).

    Args:
        benchmark: What to run.
        every_n_steps: Also run after every so many optimizer steps; null runs once, at the end.
        at_end: Whether to run with the finished policy.
        keep_best: Whether the policy with the highest success so far is kept in ``<run>/<benchmark>/best_policy``.
    """

    def __init__(
        self, benchmark: Benchmark, every_n_steps: int | None = None, at_end: bool = True, keep_best: bool = False
    ) -> None:
        self.benchmark = benchmark
        self.every_n_steps = every_n_steps
        self.at_end = at_end
        self.keep_best = keep_best
        self.results: dict[str, Any] = {}
        self.report: Any = None
        self.best: dict[str, float] = {}
        self._done_at = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a policy that the benchmark cannot roll out before hours are spent on it."""
        wanted = self.benchmark
        check_policy(policy_module(pl_module).policy, wanted.embodiment.name, wanted.view, wanted.replan_every)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Run where the step asks for it."""
        step = trainer.global_step
        if self.every_n_steps and step != self._done_at and step % self.every_n_steps == 0 and step < trainer.max_steps:
            self._run(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Run with the finished policy."""
        if self.at_end and is_complete(trainer):
            self._run(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The best success so far, for the checkpoint."""
        return {"best": dict(self.best), "done_at": self._done_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best success of before."""
        self.best = dict(state_dict["best"])
        self._done_at = state_dict["done_at"]

    def _run(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._done_at = trainer.global_step
        with isolate_rng():
            policy = whole_policy(pl_module)
            rate = 0.0
            if trainer.is_global_zero:
                folder = Path(trainer.default_root_dir)
                place = folder / self.benchmark.name / f"step_{trainer.global_step}"
                result = self.benchmark.run(policy, folder.name, place)
                rate = self._tell(trainer, result, folder.name, place)
                if self.keep_best and rate > self.best.get("success_rate", -1.0):
                    policy.save(place.parent / "best_policy")
            rate = trainer.strategy.broadcast(rate)
        if rate > self.best.get("success_rate", -1.0):
            self.best = {"success_rate": rate, "step": trainer.global_step}
        if trainer.is_global_zero:
            self.results["best_success"] = self.best
        trainer.callback_metrics["success_rate"] = torch.tensor(rate)

    def _tell(self, trainer: Trainer, result: BenchmarkResult, name: str, place: Path) -> float:
        """What provenance, closing report and loggers hear of a result; its pooled success rate."""
        pooled = result.summary.pooled
        self.results = {
            "benchmark": self.benchmark.name,
            "measured_at_step": trainer.global_step,
            "seeds": sorted({outcome.seed for outcome in result.outcomes}),
            "success_rate": pooled.rate,
            "success_interval": list(pooled.interval),
            "episodes": pooled.episodes,
            "retries": result.retries,
            "success_by_task": {task: rate.rate for task, rate in result.summary.tasks.items()},
        }
        if result.summary.groups:
            self.results["success_mean_of_groups"] = result.summary.group_mean
        self.report = table(result.summary, f"{name}: success in {self.benchmark.name}")
        low, high = pooled.interval
        metrics = {"success_rate": pooled.rate, "success_rate_low": low, "success_rate_high": high}
        metrics |= {f"success_rate/{group}": rate.rate for group, rate in result.summary.groups.items()}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.global_step)
        films = sorted((place / "videos").glob("*.mp4"))
        if films:
            log_film(trainer.loggers, f"{self.benchmark.name}/{films[0].stem}", films[0], trainer.global_step)
        return pooled.rate
