"""The precision in which a published layout keeps its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

TABLE = ".pe"


def narrowed(tensors: Mapping[str, Tensor], halves: Sequence[str], tables_are_weights: bool) -> dict[str, Tensor]:
    """``tensors``, each group in bfloat16 if all its numbers are bfloat16 numbers anyway, else in float32.

    Tables that are not weights were recomputed in full precision, which says nothing about the file they came from:
    they take the precision of their group.

    Args:
        tensors: By published name.
        halves: Prefixes of the groups; what has none of them is one more group.
        tables_are_weights: Whether the fixed tables came from a checkpoint; they then are a group of their own.
    """

    def group(name: str) -> str:
        own = tables_are_weights and name.endswith(TABLE)
        return TABLE if own else next((half for half in halves if name.startswith(half)), "")

    telling = [name for name in tensors if tables_are_weights or not name.endswith(TABLE)]
    wide = {group(name) for name in telling if not torch.equal(tensors[name].bfloat16().float(), tensors[name].float())}
    dtypes = {name: torch.float32 if group(name) in wide else torch.bfloat16 for name in tensors}
    return {name: tensor.to("cpu", dtypes[name]).clone() for name, tensor in tensors.items()}
