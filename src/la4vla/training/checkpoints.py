"""Which trainer states a run keeps while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """Saves ``<name>.ckpt`` every so many optimizer steps.

    Args:
        name: Name of the file.
        folder: Where it lies.
        every_n_steps: Optimizer steps between two checkpoints; may change on resume.
        monitor: Logged value whose least checkpoint is kept; None keeps the newest.
    """

    def __init__(self, name: str, folder: Path, every_n_steps: int, monitor: str | None = None) -> None:
        super().__init__(
            dirpath=folder,
            filename=name,
            monitor=monitor,
            every_n_train_steps=every_n_steps,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    @property
    def state_key(self) -> str:
        """One key per file, so that what was best so far is known after a resume with another interval."""
        return f"{type(self).__qualname__}({self.filename})"


class ResumePoint(RunCheckpoint):
    """As :class:`RunCheckpoint`, but leaves out the last step of all.

    A trainer that resumes at its last step ends without a word: what belongs to the end, rollouts and the export, would
    never be made up for where it was interrupted. From the state before it the end comes again.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *batch: Any) -> None:
        """Save where it is due."""
        if trainer.global_step < trainer.max_steps:
            super().on_train_batch_end(trainer, pl_module, *batch)


def run_checkpoints(folder: Path, every_n_steps: int) -> list[RunCheckpoint]:
    """The best state and the last; in this order, so that the last knows what the best is."""
    return [
        RunCheckpoint("best", folder, every_n_steps, monitor="loss_smoothed"),
        ResumePoint("last", folder, every_n_steps),
    ]


def is_complete(trainer: Trainer) -> bool:
    """Whether training went to its last step: neither interrupted, nor stopped before by its time or a callback."""
    return not trainer.interrupted and trainer.global_step >= trainer.max_steps
