"""Fixed sinusoidal tables for steps and times."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoids(positions: int, width: int) -> Tensor:
    """``(positions, width)`` float32: sine on even and cosine on odd columns, wavelengths 2 pi to 20,000 pi.

    ``table[p, 2i] = sin(p / 10000^(2i / width))``, ``table[p, 2i + 1] = cos(the same)`` (Vaswani et al., 2017).

    Raises:
        ValueError: If ``width`` is odd.
    """
    if width % 2:
        raise ValueError(f"A sinusoidal table pairs its columns; the width must be even, got {width}.")
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angle = torch.arange(positions)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
