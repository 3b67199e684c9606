"""Measures samples per second and how long training waits for data."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from lightning import Callback, LightningModule, Trainer

from la4vla.schema.batch import Batch


class Throughput(Callback):
    """Logs ``samples_per_s`` (over all processes) and ``data_wait_share`` (waiting over total time) of each window.

    Args:
        window: Batches per measurement. The first ``skip`` batches (worker start-up, allocation) are left out.
        skip: Batches left out at the beginning of the fit.
    """

    def __init__(self, window: int = 20, skip: int = 5) -> None:
        self.window = window
        self.skip = skip
        self.samples = self.waited_s = self.busy_s = 0.0
        self._seen = 0
        self._ended = self._started = 0.0
        self._window = [0.0, 0.0, 0.0]

    @property
    def samples_per_s(self) -> float:
        """Samples per second since the first counted batch."""
        return self.samples / max(self.waited_s + self.busy_s, 1e-9)

    @property
    def data_wait_share(self) -> float:
        """Share of the time spent waiting for the loader, in [0, 1]."""
        return self.waited_s / max(self.waited_s + self.busy_s, 1e-9)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The batch has arrived."""
        self._started = perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """The batch is done."""
        now, self._seen = perf_counter(), self._seen + 1
        if self._seen > self.skip:
            spent = (len(batch) * trainer.world_size, self._started - self._ended, now - self._started)
            self.samples, self.waited_s, self.busy_s = (
                a + b for a, b in zip((self.samples, self.waited_s, self.busy_s), spent, strict=True)
            )
            self._window = [a + b for a, b in zip(self._window, spent, strict=True)]
            if self._seen % self.window == 0:
                self._log(pl_module)
        self._ended = perf_counter()

    def _log(self, pl_module: LightningModule) -> None:
        samples, waited_s, busy_s = self._window
        pl_module.log("samples_per_s", samples / (waited_s + busy_s), prog_bar=True)
        pl_module.log("data_wait_share", waited_s / (waited_s + busy_s))
        self._window = [0.0, 0.0, 0.0]
