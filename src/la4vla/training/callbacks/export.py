"""Writes what a finished run leaves: the policy, the loss plot, the report, the provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console

from la4vla.models.policy import Policy
from la4vla.training.callbacks.loss_plot import plot_loss
from la4vla.training.callbacks.throughput import Throughput
from la4vla.training.checkpoints import is_complete
from la4vla.training.report import run_table
from la4vla.training.run import Run, write_text
from la4vla.training.whole import whole_policy


class Export(Callback):
    """Exports the policy after the last step, prints the closing report and marks the run as finished.

    A training that is stopped before, by its time or by a callback, leaves a state to go on from and no policy.
    It comes last among the callbacks, so that what the others measured at the end is in the report. A callback offers
    its findings as ``results`` (a mapping for the provenance) and ``report`` (a rich renderable), either or both.

    Args:
        run: The run's folder.
        facts: What the provenance says of the run before its first step.
        told: Whether loggers that the recipe names are told the resolved recipe.
    """

    def __init__(self, run: Run, facts: Callable[[], Mapping[str, Any]], told: bool = True) -> None:
        self.run = run
        self.facts = facts
        self.told = told

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write down what is trained: now, since a start that fails before its first step is to leave nothing."""
        if not trainer.is_global_zero:
            return
        self.run.begin(self.facts())
        for logger in trainer.loggers:
            if self.told and not isinstance(logger, CSVLogger | TensorBoardLogger):
                logger.log_hyperparams(dict(self.run.config))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write everything; of the checkpoint every process has its part, the rest is for the first one."""
        if trainer.interrupted:
            return
        if is_complete(trainer):
            policy = whole_policy(pl_module)
            if trainer.is_global_zero:
                self._export(trainer, policy)
        # Only now: nothing resumes at the last step, and until here there may be something left to do.
        trainer.save_checkpoint(self.run.checkpoints / "last.ckpt")

    def _export(self, trainer: Trainer, policy: Policy) -> None:
        for logger in trainer.loggers:
            logger.finalize("success")
        plot_loss(sorted(self.run.folder.glob("csv/*/metrics.csv")), self.run.folder / "loss.png")
        others = [c for c in vars(trainer)["callbacks"] if c is not self]
        results: dict[str, Any] = {"steps": trainer.global_step, **self._losses(trainer)}
        for callback in others:
            if isinstance(callback, Throughput):
                results |= {
                    "samples_per_s": round(callback.samples_per_s, 1),
                    "data_wait_share": round(callback.data_wait_share, 4),
                }
            results |= getattr(callback, "results", {})
        policy.provenance = {**(self.run.provenance() or {}), "results": results}
        policy.save(self.run.policy)
        self.run.finish(results)
        self._report([c.report for c in others if getattr(c, "report", None) is not None])

    def _losses(self, trainer: Trainer) -> dict[str, float]:
        return {k: round(float(v), 5) for k, v in trainer.callback_metrics.items() if k.startswith("loss")}

    def _report(self, reports: list[Any]) -> None:
        page = Console(record=True, width=110, file=StringIO())
        screen = Console(width=None if Console().is_terminal else 110)
        for part in (run_table(self.run), *reports):
            page.print(part)
            screen.print(part)
        screen.print(
            f"Everything of this run is in {self.run.folder}/ (policy/, loss.png, report.md, provenance.json)."
        )
        write_text(self.run.folder / "report.md", f"```\n{page.export_text()}```\n")
