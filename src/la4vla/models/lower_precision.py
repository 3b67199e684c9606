"""Weights in a lower precision, for policies that only act."""

from __future__ import annotations

import torch
from torch import nn

# What autocast computes in its lower precision, and tables of tokens, which the backbone casts as soon as it has read.
PRODUCTS = (nn.Linear, nn.Conv2d, nn.Embedding)


def lower_precision(module: nn.Module, dtype: torch.dtype = torch.bfloat16) -> None:
    """Casts the weights of all matrix products and tables in ``module`` to ``dtype``, in place and for good.

    Under autocast to ``dtype`` every answer stays what it was to the last bit: autocast makes the same cast, but in
    each context anew, and at each use where a weight is frozen. Norms, normalizer and fixed tables keep their
    precision. Outside of autocast such a module refuses float32 inputs, and training it would lose small updates.
    """
    for part in module.modules():
        if isinstance(part, PRODUCTS):
            part.to(dtype)
