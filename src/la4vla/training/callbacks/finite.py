"""Stops a run whose loss or gradient is no longer finite."""

from __future__ import annotations

from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from torch import Tensor, isfinite

from la4vla.schema.batch import Batch


class FiniteLoss(Callback):
    """Raises before a non-finite loss reaches the optimizer, so that the last checkpoint stays good.

    Raises:
        FloatingPointError: Naming the step, the batch's position in the stream, its sources and instructions, and the
            checkpoint that is still good.
    """

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._position = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Remember the batch in flight."""
        self._batch, self._position = batch, batch_idx

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Look at the loss before its gradients are taken."""
        if not isfinite(loss):
            raise FloatingPointError(self.sentence(trainer, f"the loss is {loss.item()}"))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Name the batch of a non-finite gradient, which the module notices."""
        if isinstance(exception, FloatingPointError) and "step" not in str(exception):
            exception.args = (self.sentence(trainer, str(exception)),)

    def sentence(self, trainer: Trainer, what: str) -> str:
        """What happened, in which batch, and which checkpoint is good."""
        batch = self._batch
        sources = ", ".join(sorted(set(batch.sources))) if batch else "none"
        first = batch.instructions[0] if batch else ""
        last = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"
        good = f"the last good checkpoint is {last}" if last.exists() else "no checkpoint was due yet"
        return (
            f"{what} at step {trainer.global_step}, in batch {self._position} of the stream (sources: {sources}; first "
            f"instruction: {first!r}). Nothing was updated; {good}. Lower "
            "model.learning_rate or look at that batch's data, then run the same command again."
        )
