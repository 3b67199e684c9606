"""Progress with the time that is left, on a terminal and in a log file."""

from __future__ import annotations

from datetime import timedelta
from time import perf_counter
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class StepProgressBar(RichProgressBar):
    """Rich's bar over the run's steps: the stream of batches has no end of its own, the step limit has.

    Args:
        name: What the bar is called.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @property
    def total_train_batches(self) -> int:
        """Batches until ``max_steps``."""
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop drawing, before the report is printed."""
        self._stop_progress()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What is logged for the bar, without the number that Lightning counts a folder's starts by."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return self.name


class ProgressLines(Callback):
    """A line of progress at each tenth of the run, for logs that cannot show a bar."""

    def __init__(self, lines: int = 10) -> None:
        self.lines = lines
        self._began = (0.0, 0)
        self._told = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._began = (perf_counter(), trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Print when another tenth is done."""
        step, total = trainer.global_step, trainer.max_steps
        done = step - self._began[1]
        if done <= 0 or step == self._told or step % max(1, total // self.lines) or not trainer.is_global_zero:
            return
        self._told = step
        left = (perf_counter() - self._began[0]) / done * (total - step)
        loss = trainer.callback_metrics.get("loss")
        rate = trainer.callback_metrics.get("samples_per_s")
        told = [f"step {step}/{total}", f"{timedelta(seconds=round(left))} left"]
        told += [f"loss {float(loss):.4f}"] if loss is not None else []
        told += [f"{float(rate):.0f} samples/s"] if rate is not None else []
        print("  ".join(told), flush=True)


def progress(bar: bool, name: str) -> Callback:
    """The bar, or lines in its place.

    Args:
        bar: Whether there is a terminal to draw on.
        name: What the bar is called.
    """
    return StepProgressBar(name) if bar else ProgressLines()
