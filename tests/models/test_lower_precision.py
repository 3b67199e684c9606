"""Weights cast once give what autocast's own casts give."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.lower_precision import lower_precision
from la4vla.schema.batch import Batch


@pytest.mark.parametrize("rows", [1, 2])
@torch.no_grad()
def test_chunks_stay_what_autocast_makes_them(
    small_backbone: Callable[..., InternVL3],
    small_head: Callable[..., FlowMatchingHead],
    make_batch: Callable[..., Batch],
    rows: int,
) -> None:
    backbone, head = small_backbone().eval(), small_head(proprioception_dim=4).eval()
    batch = replace(make_batch([[True, False]] * rows), actions=None, action_mask=None)
    with torch.autocast("cpu", torch.bfloat16):
        expected = head.sample(backbone(batch), batch)
    light = copy.deepcopy(backbone), copy.deepcopy(head)
    for module in light:
        lower_precision(module)
    with torch.autocast("cpu", torch.bfloat16):
        found = light[1].sample(light[0](batch), batch)
    assert torch.equal(found, expected)
    size = sum(p.numel() * p.element_size() for module in light for p in module.parameters())
    assert size < 0.55 * sum(p.numel() * 4 for module in (backbone, head) for p in module.parameters())


@torch.no_grad()
def test_norms_and_tables_keep_their_precision(small_head: Callable[..., FlowMatchingHead]) -> None:
    head = small_head()
    lower_precision(head)
    assert head.norm.weight.dtype == head.times.dtype == head.steps.dtype == torch.float32
    assert head.pool.weight.dtype == head.blocks[0].query.bias.dtype == torch.bfloat16
