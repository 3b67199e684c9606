"""The block's limits."""

from __future__ import annotations

import pytest

from la4vla.models.heads.cross_attention import Block


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="got 5 heads for a width of 24"):
        Block(24, heads=5, feedforward=48, dropout=0.0)
