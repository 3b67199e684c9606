"""The flow-matching head against its equations, written out once more."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from la4vla.models.backbones.base import Tokens
from la4vla.models.heads.draws import uniforms
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.schema.batch import Batch

WIDTH = 24


@pytest.fixture
def tokens() -> Tokens:
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[0, 5:] = mask[2, 1:4] = False
    return Tokens(torch.randn(3, 7, WIDTH), mask, torch.zeros_like(mask))


@pytest.fixture
def batch(make_batch: Callable[..., Batch]) -> Batch:
    """Normalised and padded as a policy does: dimensions 4 and 5 and some steps are padding."""
    batch = make_batch([[False]] * 3, dims=6)
    mask = batch.action_mask.clone()
    mask[..., 4:] = False
    mask[1, 2:] = False
    return replace(batch, action_mask=mask, proprioception=torch.rand(3, 5))


def _sinusoid(position: int, width: int) -> Tensor:
    angles = [position / 10000 ** (2 * (column // 2) / width) for column in range(width)]
    return torch.tensor([math.cos(a) if column % 2 else math.sin(a) for column, a in enumerate(angles)])


def _linear(x: Tensor, layer: nn.Module) -> Tensor:
    return x @ layer.weight.T + layer.bias


def _attention(x: Tensor, context: Tensor, block: nn.Module, heads: int) -> Tensor:
    """One sample: x (H, D), context (L, D), valid rows only."""
    query = _linear(x, block.query)
    keys, values = _linear(context, block.key_value).chunk(2, dim=1)
    answers = []
    for q, k, v in zip(query.chunk(heads, 1), keys.chunk(heads, 1), values.chunk(heads, 1), strict=True):
        answers.append((q @ k.T / math.sqrt(q.shape[1])).softmax(1) @ v)
    return _linear(torch.cat(answers, 1), block.attention_out)


def _output(head: FlowMatchingHead, x: Tensor, time: float, context: Tensor, heads: int = 2) -> Tensor:
    """The velocity of one sample, equation by equation: x (H, A), context (L, D)."""
    if head.horizon == 1:
        hidden = _linear(x, head.action_in)
    else:
        places = torch.stack([_sinusoid(step, WIDTH) for step in range(head.horizon)])
        hidden = _linear(x, head.action_in).relu() + places
        hidden = _linear(_linear(hidden, head.action_mix[0]).relu(), head.action_mix[2])
    moment = _sinusoid(math.floor(time * 999), WIDTH)
    for block in head.blocks:
        hidden = hidden + _attention(block.attention_norm(hidden), context, block, heads)
        inner = _linear(block.feedforward_norm(hidden) + moment, block.feedforward[0])
        inner = 0.5 * inner * (1 + torch.erf(inner / math.sqrt(2)))
        hidden = hidden + _linear(inner, block.feedforward[2])
    pooled = head.norm(hidden).reshape(-1)
    if head.horizon > 1:
        pooled = _linear(pooled, head.pool)
    return _linear(_linear(pooled, head.out[0]).relu(), head.out[2]).reshape(head.horizon, head.action_dim)


def _context(head: FlowMatchingHead, tokens: Tokens, batch: Batch, row: int) -> Tensor:
    proprioception = _linear(_linear(batch.proprioception[row], head.proprioception[0]).relu(), head.proprioception[2])
    return torch.cat([tokens.embeddings[row][tokens.mask[row]], proprioception[None]])


@pytest.mark.parametrize("predicts", ["velocity", "actions"])
@pytest.mark.parametrize("horizon", [4, 1])
@torch.no_grad()
def test_loss_is_its_equation(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch, horizon: int, predicts: str
) -> None:
    head = small_head(WIDTH, horizon=horizon, predicts=predicts)
    batch = replace(batch, actions=batch.actions[:, :horizon], action_mask=batch.action_mask[:, :horizon])
    losses = head.loss(tokens, batch)
    for row, draw in enumerate(batch.draw):
        unit = uniforms(draw[None], 3 + horizon * 6)[0]
        time = float(unit[:3].median().clamp(0.02, 0.98))
        mask = batch.action_mask[row]
        noise = (2 * unit[3:].reshape(horizon, 6) - 1) * mask[0]
        action = batch.actions[row] * mask
        output = _output(head, (1 - time) * noise + time * action, time, _context(head, tokens, batch, row))
        target = action if predicts == "actions" else action - noise
        expected = (output - target)[mask].square().mean()
        torch.testing.assert_close(losses[row], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("predicts", ["velocity", "actions"])
@torch.no_grad()
def test_sample_is_euler_integration(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch, predicts: str
) -> None:
    head = small_head(WIDTH, predicts=predicts).eval()
    mask = batch.action_mask[:1].expand(3, -1, -1)
    noise = torch.rand(3, 4, 6) * 2 - 1
    chunk = head.sample(tokens, replace(batch, action_mask=mask), noise=noise)
    for row in range(3):
        x, context = noise[row], _context(head, tokens, batch, row)
        for step in range(3):
            x = x * mask[row]
            output = _output(head, x, step / 3, context)
            x = x + (output if predicts == "velocity" else (output - x) / (1 - step / 3)) / 3
        torch.testing.assert_close(chunk[row], x * mask[row], atol=1e-5, rtol=0)


@torch.no_grad()
def test_both_predictions_are_one_field(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch
) -> None:
    """A head of actions whose output is a constant chunk carries any noise straight into it."""
    head = small_head(WIDTH, predicts="actions").eval()
    torch.nn.init.zeros_(head.out[2].weight)
    head.out[2].bias.copy_(torch.linspace(-1, 1, 4 * 6))
    chunk = head.sample(tokens, replace(batch, action_mask=None), noise=torch.rand(3, 4, 6) * 2 - 1)
    torch.testing.assert_close(chunk, head.out[2].bias.reshape(1, 4, 6).expand(3, -1, -1))


@torch.no_grad()
def test_projecting_the_context_once_equals_every_time(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch
) -> None:
    head = small_head(WIDTH).eval()
    x = noise = torch.rand(3, 4, 6)
    for step in range(3):
        x = x + head.velocity(x, torch.full((3,), step / 3), head.context(tokens, batch)) / 3
    chunk = head.sample(tokens, replace(batch, action_mask=None), noise=noise)
    torch.testing.assert_close(chunk, x)


@torch.no_grad()
def test_hidden_tokens_say_nothing(small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch) -> None:
    head = small_head(WIDTH)
    loud = tokens._replace(embeddings=torch.where(tokens.mask[..., None], tokens.embeddings, 1e4))
    assert torch.equal(head.loss(loud, batch), head.loss(tokens, batch))


def test_padded_outputs_get_zero_gradient(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch
) -> None:
    head, outputs = small_head(WIDTH), []
    head.out.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    loss = head.loss(tokens, batch).sum()
    gradient = torch.autograd.grad(loss, outputs[0])[0].reshape(3, 4, 6)
    assert (gradient[~batch.action_mask] == 0).all() and (gradient[batch.action_mask] != 0).all()


def test_noise_is_uniform_and_absent_on_dims_nobody_has(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch
) -> None:
    head, inputs = small_head(WIDTH), []
    head.action_in.register_forward_hook(lambda _, given, output: inputs.append(given[0]))
    head.loss(tokens, batch)
    moment = inputs[0]
    assert (moment[..., 4:] == 0).all()
    assert (moment[1, 2:, :4] != 0).all() and moment.abs().max() <= 1


def test_draws_choose_the_chunk(small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch) -> None:
    head = small_head(WIDTH).eval()
    chunk = head.sample(tokens, batch)
    assert torch.equal(chunk, head.sample(tokens, batch))
    assert not torch.equal(chunk, head.sample(tokens, replace(batch, draw=batch.draw + 1)))
    undrawn = replace(batch, draw=None)
    assert not torch.equal(head.sample(tokens, undrawn), head.sample(tokens, undrawn))


def test_incomplete_batches_are_refused(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch
) -> None:
    with pytest.raises(ValueError, match="lacks one of them"):
        small_head(WIDTH).loss(tokens, replace(batch, draw=None))
    with pytest.raises(ValueError, match="chunks of 2 steps x 6 dimensions, the batch holds 4 x 6"):
        small_head(WIDTH, horizon=2).loss(tokens, batch)


@pytest.mark.parametrize(("horizon", "millions"), [(50, 122.0), (16, 93.9)])
def test_parameter_counts_at_published_size(horizon: int, millions: float) -> None:
    with torch.device("meta"):
        head = FlowMatchingHead(896, horizon=horizon)
    assert sum(parameter.numel() for parameter in head.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_dropout_acts_in_training_only(
    small_head: Callable[..., FlowMatchingHead], tokens: Tokens, batch: Batch
) -> None:
    head = small_head(WIDTH, dropout=0.5).eval()
    assert torch.equal(head.loss(tokens, batch), head.loss(tokens, batch))
    head.train()
    assert not torch.equal(head.loss(tokens, batch), head.loss(tokens, batch))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"integration_steps": 0}, "at least 1, got 4, 6, 0, 2 and 2"),
        ({"time_alpha": 0}, "time_alpha and time_beta are at least 1"),
        ({"time_min": 0.9, "time_max": 0.1}, "time_min <= time_max <= 1 must hold, got 0.9 and 0.1"),
    ],
)
def test_impossible_numbers_are_refused(
    small_head: Callable[..., FlowMatchingHead], changes: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        small_head(**changes)
