"""Scaled dot-product attention by whatever is fast where the tensors are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


def attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """``(B, h, Q, d)``: ``softmax(query keys^T / sqrt(d)) values``.

    Where a gradient will come back on a CPU this multiplies and normalises in plain steps: torch's fused CPU kernel
    takes three to six times longer backwards in bfloat16, and as long in float32. Forwards it is the faster one.

    Args:
        query: ``(B, h, Q, d)``.
        keys: ``(B, g, L, d)``; each of the g heads serves h / g consecutive query heads.
        values: ``(B, g, L, d)``.
        mask: Bool, True to look; broadcasts to ``(B, 1, Q, L)``. Every query must see a key.
        causal: Whether a query sees only keys up to its own position; instead of ``mask``.
        dropout: Dropout of attention probabilities.
    """
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (query, keys, values))
    if query.device.type != "cpu" or not learning:
        grouped = query.shape[1] != keys.shape[1]
        return F.scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, dropout_p=dropout, is_causal=causal, enable_gqa=grouped
        )
    groups, shared = keys.shape[1], query.shape[1] // keys.shape[1]
    # The heads that share keys stand as rows of one matrix, so keys need not be repeated.
    query = rearrange(query, "b (g n) q d -> b g (n q) d", g=groups) * query.shape[-1] ** -0.5
    scores = rearrange(query @ keys.transpose(-1, -2), "b g (n q) l -> b g n q l", n=shared)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()[None, None]
    if mask is not None:
        # Adding a bias has no backward pass, filling has one.
        scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -torch.inf).unsqueeze(1)
    seen = F.dropout(scores.softmax(-1), dropout) if dropout else scores.softmax(-1)
    answer = rearrange(seen, "b g n q l -> b g (n q) l") @ values
    return rearrange(answer, "b g (n q) d -> b (g n) q d", n=shared)
