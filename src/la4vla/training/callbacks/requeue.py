"""Hands a job back to SLURM before its time is up."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer


class Requeue(Callback):
    """Saves the last checkpoint and queues the job again when SLURM says that its time is almost up.

    SLURM sends SIGUSR1 to every process (``#SBATCH --signal=USR1@300``); they agree on it after an optimizer step.
    Lightning's own requeueing saves inside the signal handler, where processes may be in the middle of different
    steps: collective operations of one would then meet other ones of another.

    Args:
        every_n_steps: Optimizer steps between two looks at whether any process has heard the signal.

    Raises:
        SystemExit: Once the job is queued again, with status 0.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        self.every_n_steps = every_n_steps
        self._heard = False
        self._looked_at = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen; workers that read data inherit this, and so survive the signal too."""
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "_heard", True))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop listening; a signal that comes while the run ends has nothing left to do."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save, queue again and leave where any process has heard the signal."""
        step = trainer.global_step
        if step == self._looked_at or step % self.every_n_steps or step >= trainer.max_steps:
            return
        self._looked_at = step
        if trainer.strategy.reduce_boolean_decision(self._heard, all=False):
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
            if trainer.is_global_zero:
                subprocess.run(["scontrol", "requeue", _job()], check=True)
            raise SystemExit(0)


def _job() -> str:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
