"""The language model's norm without its detours through float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen2Model
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm


class RMSNorm(nn.Module):
    """``x / sqrt(mean(x^2) + eps) * weight``, in the precision of ``x``; the mean is taken in float32.

    transformers' own goes up to float32 and answers in the precision of its weight. Under bfloat16 autocast five linear
    layers then cast that answer down again, one by one, which on a CPU costs more than the norm.

    Args:
        weight: ``(D,)``, shared with the module this one stands for.
        eps: Keeps the root away from zero.
    """

    def __init__(self, weight: nn.Parameter, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = weight, eps

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` to the same shape and precision."""
        weight = self.weight.to(x.dtype)
        if x.device.type != "cpu":
            return F.rms_norm(x, weight.shape, weight, self.eps)
        scale = (x.square().mean(-1, keepdim=True, dtype=torch.float32) + self.eps).rsqrt()
        return x * scale.to(x.dtype) * weight


def replace_norms(language: Qwen2Model) -> None:
    """Puts :class:`RMSNorm` in place of every norm of ``language``; parameters keep their names and values."""
    for module in list(language.modules()):
        for name, norm in module.named_children():
            if isinstance(norm, Qwen2RMSNorm):
                setattr(module, name, RMSNorm(norm.weight, norm.variance_epsilon))
