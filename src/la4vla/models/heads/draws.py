"""Randomness that belongs to a sample, whatever batch or process it lands in."""

from __future__ import annotations

import torch
from torch import Tensor


def uniforms(draw: Tensor, size: int) -> Tensor:
    """``(B, size)`` float32 numbers in [0, 1) on the CPU; row ``b`` is a function of ``draw[b]`` alone.

    Args:
        draw: ``(B,)`` int64 seeds, see :class:`~la4vla.schema.batch.Batch`.
        size: Numbers per sample. More numbers only append: the first ones stay.
    """
    rows = torch.empty(len(draw), size)
    generator = torch.Generator()
    for row, seed in zip(rows, draw.tolist(), strict=True):
        # The generator reads 32 bits of its seed, so both halves of the draw are folded into them.
        torch.rand(size, generator=generator.manual_seed((seed ^ seed >> 32) & 0xFFFFFFFF), out=row)
    return rows


def beta(uniform: Tensor, alpha: int) -> Tensor:
    """``(B,)`` samples of Beta(alpha, n + 1 - alpha) from ``(B, n)`` uniforms.

    For integer parameters the beta distribution is that of an order statistic: of n uniforms, the alpha-th smallest.
    """
    return uniform.sort(dim=1).values[:, alpha - 1]
