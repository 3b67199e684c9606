"""The official head behind the official backbone: velocity, loss and chunks against plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from literal import Literal
from torch import Tensor

from la4vla.models.backbones.base import Tokens
from la4vla.models.heads.draws import beta, uniforms
from la4vla.models.policy import Policy
from la4vla.models.published.official_head import OfficialFlowMatchingHead
from la4vla.schema.batch import Batch
from la4vla.schema.observation import Observation

OWN = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])


@pytest.fixture
def policy(save_official: Callable[..., Path], load_official: Callable[..., Policy]) -> Policy:
    return load_official(save_official(), compat=True)


@pytest.fixture
def batch(make_batch: Callable[..., Batch]) -> Batch:
    return make_batch([[True, False, False], [True, True, False], [False, False, False]])


def context_of(policy: Policy, literal: Literal, batch: Batch) -> Tensor:
    """From raw inputs to what the official head attends to, statistics (-2, 2) included."""
    views = [[batch.images[i] / 255 for i in row.tolist() if i >= 0] for row in batch.image_index]
    fused = literal.fuse(policy.backbone.tokenizer, batch.instructions, views, True, 64)
    state = torch.zeros(len(batch), 5)
    state[:, :4] = (2 * (batch.proprioception - -2) / (2 - -2 + 1e-8) - 1).clamp(-1, 1)
    return literal.context(fused, state)


@torch.no_grad()
def test_velocity(policy: Policy, literal: Literal) -> None:
    head, x, fused, state = policy.head, torch.randn(3, 4, 6), torch.randn(3, 20, 32), torch.randn(3, 5)
    time, visible = torch.tensor([0.0, 0.3125, 0.98]), torch.ones(3, 20, dtype=torch.bool)
    fields = Batch(torch.empty(0), torch.empty(3, 0), ("",) * 3, state, ("arm",) * 3)
    context = head.context(Tokens(fused, visible, ~visible), fields)
    expected = literal.velocity(x, (time * 999).long(), literal.context(fused, state))
    torch.testing.assert_close(head.velocity(x, time, context), expected, atol=1e-5, rtol=0)
    head.time_scale = 1000
    rows = torch.tensor([0, 312, 980])
    expected = literal.velocity(x, rows, literal.context(fused, state))
    torch.testing.assert_close(head.velocity(x, time, context), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_loss_from_raw_inputs(policy: Policy, literal: Literal, batch: Batch) -> None:
    unit = uniforms(batch.draw, 3 + 4 * 6)
    time, noise = beta(unit[:, :3], 2).clamp(0.02, 0.98), (unit[:, 3:] * 2 - 1).view(3, 4, 6) * OWN
    actions = torch.zeros(3, 4, 6)
    actions[..., :4] = (2 * (batch.actions - -2) / (2 - -2 + 1e-8) - 1).clamp(-1, 1)
    moment = (1 - time[:, None, None]) * noise + time[:, None, None] * actions
    velocity = literal.velocity(moment, (time * 999).long(), context_of(policy, literal, batch))
    mask = OWN.expand(3, 4, 6)
    square = (velocity * mask - (actions - noise) * mask).square()
    torch.testing.assert_close(policy.loss(batch), square.sum((1, 2)) / 16, atol=1e-5, rtol=0)
    official = square.mean() * square.numel() / mask.sum()
    torch.testing.assert_close(policy.loss(batch).mean(), official, atol=1e-5, rtol=0)


@torch.no_grad()
def test_steps_beyond_the_end_repeat_the_last_action_and_count(policy: Policy, batch: Batch) -> None:
    mask = torch.ones(3, 4, 4, dtype=torch.bool)
    mask[0, 2:] = False
    actions = batch.actions.where(mask, 0.0)
    cut, repeated = actions.clone(), actions.clone()
    repeated[0, 2:] = actions[0, 1]
    expected = policy.loss(replace(batch, actions=repeated))
    assert torch.equal(policy.loss(replace(batch, actions=cut, action_mask=mask)), expected)


@pytest.mark.parametrize(("times", "scale"), [("la4vla", 999), ("evo1", 1000)])
@torch.no_grad()
def test_chunks_from_raw_inputs(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    literal: Literal,
    make_observation: Callable[..., Observation],
    times: str,
    scale: int,
) -> None:
    policy = load_official(save_official(), compat=True, times=times)
    shown = make_observation().images["front"]
    observation = make_observation(images={"b": shown})
    (chunk,) = policy.act([observation], draws=[5])
    pixels = torch.from_numpy(shown).permute(2, 0, 1)[None]
    batch = Batch(
        pixels, torch.tensor([[0]]), ("Open a drawer",), torch.from_numpy(observation.proprioception)[None], ("arm",)
    )
    noise = (uniforms(torch.tensor([5]), 24) * 2 - 1).view(1, 4, 6)
    sample = literal.sample(context_of(policy, literal, batch), noise, OWN.expand(1, 4, 6), scale)
    physical = (sample[0, :, :4] + 1) / 2 * (2 - -2 + 1e-8) - 2
    np.testing.assert_allclose(chunk.actions, physical.numpy(), atol=2e-5, rtol=0)


def test_a_lookup_is_the_official_one_for_the_served_steps() -> None:
    head = OfficialFlowMatchingHead(8, 2, 2, 2, 1, 1, 4)
    seen: list[int] = []
    table = torch.arange(1000.0)[:, None].expand(-1, 8)
    head.register_buffer("times", table)
    head.blocks[0].feedforward_norm.register_forward_hook(lambda *_: torch.zeros(1, 2, 8))
    head.blocks[0].feedforward.register_forward_pre_hook(lambda _, inputs: seen.append(int(inputs[0][0, 0, 0])))
    mask = torch.ones(1, 3, dtype=torch.bool)
    fields = Batch(torch.empty(0), torch.empty(1, 0), ("",), torch.zeros(1, 2), ("arm",))
    for scale in (999, 1000):
        head.time_scale = scale
        head.sample(Tokens(torch.randn(1, 3, 8), mask, ~mask), fields)
        assert seen == [int(i / 32 * scale) for i in range(32)]
        seen.clear()
