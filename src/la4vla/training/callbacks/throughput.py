"""Measures how fast training is, how much of the machine it uses, and how long it waits for data."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from la4vla.models.backbones.base import Tokens
from la4vla.models.flops import Counted, Pass, step_flops
from la4vla.schema.batch import Batch
from la4vla.training.machine import matrix_peak, peak_memory_gb
from la4vla.training.module import policy_module

PRECISIONS = {"bf16": torch.bfloat16, "16": torch.float16, "64": torch.float64}


class Throughput(Callback):
    """Logs speed, use of the machine and data wait over each window of batches.

    - ``samples_per_s`` and ``tokens_per_s``: over all processes; tokens of the language model without padding;
    - ``data_wait_share``: waiting for the loader over total time, in [0, 1];
    - ``model_tflop_per_s``: operations of :func:`~la4vla.models.flops.step_flops` over all processes, in 10^12, by the
      parts that learn when the window ends;
    - ``mfu``: those operations of one process over what its device does in a large matrix product of the trainer's
      precision, measured at the end of the first window;
    - ``peak_memory_gb``: see :func:`~la4vla.training.machine.peak_memory_gb`.

    The two that rest on operations are left out where backbone or head cannot count theirs, as the alignment head.

    Args:
        window: Batches per measurement. The first ``skip`` batches (worker start-up, allocation) are left out.
        skip: Batches left out at the beginning of the fit.
    """

    def __init__(self, window: int = 20, skip: int = 5) -> None:
        self.window = window
        self.skip = skip
        self.samples = self.waited_s = self.busy_s = 0.0
        self.results: dict[str, float] = {}
        self._seen = 0
        self._started = 0.0
        self._window = [0.0, 0.0, 0.0]
        self._runs: list[Pass] = []
        self._tokens: list[Tensor] = []
        self._hook: RemovableHandle | None = None

    @property
    def samples_per_s(self) -> float:
        """Samples per second since the first counted batch."""
        return self.samples / max(self.waited_s + self.busy_s, 1e-9)

    @property
    def data_wait_share(self) -> float:
        """Share of the time spent waiting for the loader, in [0, 1]."""
        return self.waited_s / max(self.waited_s + self.busy_s, 1e-9)

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far, so that a resumed run tells of all of it."""
        return {"samples": self.samples, "waited_s": self.waited_s, "busy_s": self.busy_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.samples, self.waited_s, self.busy_s = (state_dict[name] for name in ("samples", "waited_s", "busy_s"))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what goes through the backbone: only it knows how long prompts are."""
        self._hook = policy_module(pl_module).policy.backbone.register_forward_hook(self._note)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop looking."""
        if self._hook is not None:
            self._hook.remove()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The batch has arrived."""
        self._started = perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """The batch is done."""
        now, self._seen = perf_counter(), self._seen + 1
        if self._seen > self.skip:
            # What other callbacks did after the step before, rollouts or a checkpoint, is no waiting for data.
            waited_s = self._started - policy_module(pl_module).batch_ended_s
            spent = (len(batch) * trainer.world_size, waited_s, now - self._started)
            self.samples, self.waited_s, self.busy_s = (
                a + b for a, b in zip((self.samples, self.waited_s, self.busy_s), spent, strict=True)
            )
            self._window = [a + b for a, b in zip(self._window, spent, strict=True)]
            if self._seen % self.window == 0:
                self._log(trainer, pl_module)
        else:
            self._runs, self._tokens = [], []

    def _note(self, backbone: nn.Module, inputs: tuple[Batch], tokens: Tokens) -> None:
        if backbone.training:  # a rollout between two steps is none of them
            rows, length = tokens.mask.shape
            self._runs.append(Pass(rows, length, len(inputs[0].images)))
            self._tokens.append(tokens.mask.sum())

    def _log(self, trainer: Trainer, pl_module: LightningModule) -> None:
        samples, waited_s, busy_s = self._window
        spent_s = waited_s + busy_s
        tokens = float(torch.stack(self._tokens).sum()) * trainer.world_size
        rates = {"samples_per_s": samples / spent_s, "tokens_per_s": tokens / spent_s}
        found = {**rates, "data_wait_share": waited_s / spent_s, **self._use(trainer, pl_module, spent_s)}
        found["peak_memory_gb"] = peak_memory_gb(pl_module.device)
        for name, value in found.items():
            pl_module.log(name, value, prog_bar=name == "samples_per_s")
        self.results = {k: round(v, 4) for k, v in found.items() if k not in ("samples_per_s", "data_wait_share")}
        self._window, self._runs, self._tokens = [0.0, 0.0, 0.0], [], []

    def _use(self, trainer: Trainer, pl_module: LightningModule, spent_s: float) -> dict[str, float]:
        policy = policy_module(pl_module).policy
        if not isinstance(policy.backbone, Counted) or not isinstance(policy.head, Counted):
            return {}
        tally = step_flops(policy.backbone, policy.head, self._runs)
        per_s = (tally.forward + tally.backward) / spent_s
        dtype = PRECISIONS.get(str(trainer.precision).split("-")[0], torch.float32)
        mfu = per_s / matrix_peak(pl_module.device, dtype)
        return {"model_tflop_per_s": per_s * trainer.world_size / 1e12, "mfu": mfu}
