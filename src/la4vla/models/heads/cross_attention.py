"""The block of the flow-matching head: actions look at the context, then an MLP that knows the time."""

from __future__ import annotations

from typing import NamedTuple

from einops import rearrange
from torch import Tensor, nn

from la4vla.models.attention import attend


class KeysValues(NamedTuple):
    """One block's view of the context, each ``(B, heads, L, width / heads)``."""

    keys: Tensor
    values: Tensor


class Context(NamedTuple):
    """The context as each block sees it, and a ``(B, 1, 1, L)`` mask, True where there is something to see."""

    blocks: list[KeysValues]
    mask: Tensor

    def contiguous(self) -> Context:
        """The same, each tensor in one piece: worth its copy where many queries follow one another."""
        blocks = [KeysValues(keys.contiguous(), values.contiguous()) for keys, values in self.blocks]
        return Context(blocks, self.mask)


class Block(nn.Module):
    """Pre-norm cross-attention and MLP, each on a residual.

    ``x = x + attention(norm(x), context)``, then ``x = x + MLP(norm(x) + time)``. Action tokens do not attend to each
    other. The context is projected by :meth:`project` apart from :meth:`forward`, because it stays the same over all
    integration steps.

    Args:
        width: Size of every token.
        heads: Attention heads; must divide ``width``.
        feedforward: Inner width of the MLP.
        dropout: Dropout of attention probabilities.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width, got {heads} heads for a width of {width}.")
        self.heads, self.dropout = heads, dropout
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.attention_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width))
        self._initialise(width)

    def _initialise(self, width: int) -> None:
        # As torch's multi-head attention does for its joint (3 width, width) projection: Xavier, no bias.
        bound = (6 / (4 * width)) ** 0.5
        for projection in (self.query, self.key_value):
            nn.init.uniform_(projection.weight, -bound, bound)
        for projection in (self.query, self.key_value, self.attention_out):
            nn.init.zeros_(projection.bias)

    def project(self, context: Tensor) -> KeysValues:
        """Keys and values of ``context``, shape ``(B, L, width)``."""
        keys, values = rearrange(self.key_value(context), "b l (two h d) -> two b h l d", two=2, h=self.heads)
        return KeysValues(keys, values)

    def forward(self, x: Tensor, time: Tensor, context: KeysValues, mask: Tensor) -> Tensor:
        """Action tokens ``(B, H, width)``; ``time`` is ``(B, 1, width)``, ``mask`` ``(B, 1, 1, L)``, True to look."""
        query = rearrange(self.query(self.attention_norm(x)), "b l (h d) -> b h l d", h=self.heads)
        dropout = self.dropout if self.training else 0.0
        seen = attend(query, context.keys, context.values, mask, dropout=dropout)
        x = x + self.attention_out(rearrange(seen, "b h l d -> b l (h d)"))
        inner: Tensor = self.feedforward(self.feedforward_norm(x) + time)
        return x + inner
