"""Plain steps against torch's own kernel."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from la4vla.models.attention import attend


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("form", ["all", "causal", "mask"])
def test_agrees_with_torch(groups: int, form: str) -> None:
    query, keys, values = torch.randn(2, 4, 5, 8), torch.randn(2, groups, 5, 8), torch.randn(2, groups, 5, 8)
    mask = torch.rand(2, 1, 5, 5) < 0.5
    mask[..., 0] = True
    mask = mask if form == "mask" else None
    expected = F.scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, is_causal=form == "causal", enable_gqa=True
    )
    torch.testing.assert_close(attend(query, keys, values, mask, causal=form == "causal"), expected)


def test_dropout_drops_probabilities() -> None:
    query, keys = torch.randn(1, 1, 1, 4), torch.randn(1, 1, 1000, 4)
    seen = attend(query, keys, torch.ones(1, 1, 1000, 1), dropout=0.5)
    assert seen.item() == pytest.approx(1.0, abs=0.3) and seen.item() != 1.0
