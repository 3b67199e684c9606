"""The precision in which a published layout keeps its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

TABLE = ".pe"


def narrowed(tensors: Mapping[str, Tensor], halves: Sequence[str], tables_are_weights: bool) -> dict[str, Tensor]:
    """``tensors``, each group in bfloat16 if all its numbers are bfloat16 numbers anyway, else in float32.

    Tables that are not weights were recomputed in full precision and stay float32: rounded to bfloat16 they would move
    every velocity by a few thousandths.

    Args:
        tensors: By published name.
        halves: Prefixes of the groups; what has none of them is one more group.
        tables_are_weights: Whether the fixed tables, always a group of their own, came from a checkpoint.
    """

    def group(name: str) -> str:
        return TABLE if name.endswith(TABLE) else next((half for half in halves if name.startswith(half)), "")

    wide = {group(name) for name, t in tensors.items() if not torch.equal(t.bfloat16().float(), t.float())}
    wide |= set() if tables_are_weights else {TABLE}
    dtypes = {name: torch.float32 if group(name) in wide else torch.bfloat16 for name in tensors}
    return {name: tensor.to("cpu", dtypes[name]).clone() for name, tensor in tensors.items()}
