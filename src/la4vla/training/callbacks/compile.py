"""Compiles the layers of the policy under training."""

from __future__ import annotations

from lightning import Callback, LightningModule, Trainer
from torch import nn

from la4vla.training.module import policy_module


class Compile(Callback):
    """Has ``torch.compile`` translate every layer of backbone and head.

    Layers of one shape share their code, so this takes a fraction of the time that the whole policy would. Weights,
    checkpoints and the exported policy stay as they are. Losses agree up to rounding, not to the last bit, and dropout
    draws other numbers.

    Args:
        backend: torch's name of what translates; ``inductor`` needs a C++ compiler on a CPU and Triton on a GPU.
        mode: Of ``inductor``: ``default``, ``reduce-overhead`` or ``max-autotune``; null for other backends.
        dynamic: Whether code is made for any length at once; null decides after two different lengths.
    """

    def __init__(self, backend: str = "inductor", mode: str | None = None, dynamic: bool | None = None) -> None:
        self.backend, self.mode, self.dynamic = backend, mode, dynamic

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Prepare the layers; each is translated when it first runs."""
        for layers in policy_module(pl_module).policy.modules():
            if isinstance(layers, nn.ModuleList):
                for layer in layers:
                    layer.compile(backend=self.backend, mode=self.mode, dynamic=self.dynamic)
