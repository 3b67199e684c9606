"""This package's attention under a name that transformers' models can be told."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import AttentionInterface

from la4vla.models.attention import attend

NAME = "la4vla"


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **_: object,
) -> tuple[Tensor, None]:
    """As transformers calls it: heads before steps going in, steps before heads coming out."""
    causal = bool(module.is_causal) and attention_mask is None
    return attend(query, key, value, attention_mask, causal, dropout).transpose(1, 2), None


AttentionInterface.register(NAME, _attention)
