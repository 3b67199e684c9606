"""Saves where Ctrl-C or SIGTERM stops a fit, and says how to go on."""

from __future__ import annotations

import os
import signal
import sys
from time import monotonic
from types import FrameType
from typing import Any, Self

from lightning import Callback, LightningModule, Trainer

from la4vla.training.chain import in_job
from la4vla.training.checkpoints import is_complete
from la4vla.training.run import Run

STOPS = (signal.SIGINT, signal.SIGTERM)


class Interruption(Callback):
    """Ends a fit after the step in which it was interrupted, with ``last.ckpt`` saved; a second Ctrl-C ends it at once.

    It listens while it is entered (``with``). Before the first step and after the last one there is nothing to wait
    for, and the first signal ends the fit. Several processes agree on it every so many steps.

    Args:
        run: The run's folder.
        command: The command that goes on.
        every_n_steps: Optimizer steps between two looks at whether any of several processes was interrupted.

    Raises:
        SystemExit: With status 128 and the signal's number (130 after Ctrl-C) from the first process, 0 from others,
            so that no launcher takes them for broken.
    """

    def __init__(self, run: Run, command: str, every_n_steps: int = 10) -> None:
        self.run, self.command, self.every_n_steps = run, command, every_n_steps
        self._signal: int | None = None
        self._heard_s = 0.0
        self._between = False  # the first step and the last
        self._step = 0
        self._sentence = ""
        self._first = True
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in STOPS}
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Say where the run stands.

        Raises:
            SystemExit: Where an interruption broke a step (the processes that read data may have been stopped too).
        """
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._signal is None or error is None:
            return
        if self._first:
            print(self._sentence or self._unsaved(), file=sys.stderr, flush=True)
        raise SystemExit(self._status) from None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From now on there are steps to save; of signals Lightning would hear none but its own."""
        signal.signal(signal.SIGTERM, self._hear)
        self._between, self._first, self._step = True, trainer.is_global_zero, trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save and end where a signal was heard."""
        step, several = trainer.global_step, trainer.world_size > 1
        if step >= trainer.max_steps or (several and (step == self._step or step % self.every_n_steps)):
            return
        self._step = step
        heard = self._signal is not None
        if several:
            heard = trainer.strategy.reduce_boolean_decision(heard, all=False)
        if heard:
            self._signal = self._signal or signal.SIGINT
            self._save(trainer)
            raise SystemExit(self._status)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last step there is nothing to wait for."""
        self._between = False
        if self._signal is not None and is_complete(trainer):
            raise SystemExit(self._status)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save where the signal has also stopped the processes that read data, so that no next batch came."""
        if self._signal is not None and self._between and isinstance(exception, RuntimeError):
            if trainer.world_size == 1 and trainer.global_step:
                self._save(trainer)

    @property
    def _status(self) -> int:
        return 128 + int(self._signal or 0) if self._first else 0

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a process that reads data; its parent ends it
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            return
        if self._signal is None:
            self._signal, self._heard_s = number, monotonic()
            if not self._between:
                raise SystemExit(self._status)
            if self._first:
                # A handler may come in the middle of a print.
                os.write(2, b"\nStopping after this step and saving; press Ctrl-C again to stop at once.\n")
        elif number == signal.SIGINT and not (in_job() and monotonic() - self._heard_s < 1):  # torchrun passes it on
            signal.signal(number, signal.SIG_DFL)
            self._sentence = self._unsaved()
            raise SystemExit(self._status)

    def _save(self, trainer: Trainer) -> None:
        last = self.run.checkpoints / "last.ckpt"
        trainer.save_checkpoint(last)
        self._sentence = (
            f"Interrupted at step {trainer.global_step} of {trainer.max_steps}, saved in {last}. "
            f"To go on: {self.command}"
        )

    def _unsaved(self) -> str:
        last = self.run.last_checkpoint
        state = f"the last saved state is {last}" if last else "nothing was saved yet"
        return f"Interrupted; {state}. To go on: {self.command}"
