"""Rolls the policy out in a benchmark, at the end of training or on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from la4vla.evaluation.benchmarks.metaworld import MetaworldBenchmark
from la4vla.evaluation.report import table
from la4vla.training.whole import whole_policy


class BenchmarkRollouts(Callback):
    """Runs a benchmark with the policy under training; only the first process does.

    Writes one row per episode, a report and videos under the run's folder and logs ``success_rate``. The generator that
    training draws from is left as it was, so a run with rollouts learns exactly what one without learns.

    Args:
        benchmark: What to run.
        every_n_steps: Also run after every so many optimizer steps; null runs once, at the end.
    """

    def __init__(self, benchmark: MetaworldBenchmark, every_n_steps: int | None = None) -> None:
        self.benchmark = benchmark
        self.every_n_steps = every_n_steps
        self.results: dict[str, Any] = {}
        self.report: Any = None
        self._done_at = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Run where the step asks for it."""
        step = trainer.global_step
        if self.every_n_steps and step != self._done_at and step % self.every_n_steps == 0 and step < trainer.max_steps:
            self._run(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Run with the finished policy."""
        if not trainer.interrupted:
            self._run(trainer, pl_module)

    def _run(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._done_at = trainer.global_step
        policy = whole_policy(pl_module)
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        with torch.random.fork_rng(devices=[]):
            result = self.benchmark.run(policy, folder.name)
        result.write(folder / self.benchmark.name / f"step_{trainer.global_step}")
        pooled = result.summary.pooled
        low, high = pooled.interval
        self.results = {
            "success_rate": pooled.rate,
            "success_interval": [low, high],
            "episodes": pooled.episodes,
            "success_by_task": {task: rate.rate for task, rate in result.summary.tasks.items()},
        }
        self.report = table(result.summary, f"{folder.name}: success in {self.benchmark.name}")
        for logger in trainer.loggers:
            logger.log_metrics({"success_rate": pooled.rate}, step=trainer.global_step)
        trainer.callback_metrics["success_rate"] = torch.tensor(pooled.rate)
