"""The laws a policy keeps, over all backbones and heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from la4vla.models.backbones.base import Backbone
from la4vla.models.heads.base import ActionHead
from la4vla.models.masked_policy import MaskedPolicy
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.observation import Observation
from la4vla.schema.statistics import Domain

MIXED = [[True, False], [False, False], [True, True]]
MASKED = [[False, False]] * 3


@pytest.fixture
def policy(
    make_backbone: Callable[..., Backbone], make_head: Callable[..., ActionHead], make_policy: Callable[..., Policy]
) -> Policy:
    backbone = make_backbone()
    return make_policy(backbone, make_head(backbone.width))


@pytest.mark.parametrize("bf16", [False, True])
def test_masked_vision_is_blind(policy: Policy, make_batch: Callable[..., Batch], bf16: bool) -> None:
    batch = make_batch(MASKED)
    pixels = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        losses = [policy.loss(replace(batch, images=images)) for images in (pixels, 255 - pixels, batch.images)]
    assert all(torch.equal(losses[0], other) for other in losses[1:])


@pytest.mark.parametrize("bf16", [False, True])
def test_a_masked_view_beside_a_visible_one_is_blind(
    policy: Policy, make_batch: Callable[..., Batch], bf16: bool
) -> None:
    batch = make_batch([[True, False]] * 2)
    images = torch.cat([batch.images, torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)])
    changed = replace(batch, images=torch.cat([batch.images, 255 - images[2:]]))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert torch.equal(policy.loss(replace(batch, images=images)), policy.loss(changed))


def test_vision_that_is_not_masked_is_not_blind(policy: Policy, make_batch: Callable[..., Batch]) -> None:
    batch = make_batch([[True, False]] * 2)
    assert (policy.loss(batch) != policy.loss(replace(batch, images=255 - batch.images))).all()


def test_a_chunk_without_images_is_the_chunk_of_unknown_images(
    policy: Policy, make_observation: Callable[..., Observation]
) -> None:
    unseen = make_observation(images={"front": make_observation().images["front"]}, view="front")
    blind = make_observation(view=None)
    with_image, without, again = (
        policy.act([observation], draws=[3], allow_missing=["front"])[0].actions
        for observation in (unseen, blind, replace(blind, view="front"))
    )
    np.testing.assert_array_equal(without, again)
    assert not np.array_equal(with_image, without)


def test_padded_values_change_nothing(policy: Policy, make_batch: Callable[..., Batch]) -> None:
    batch = make_batch(MIXED)
    mask = batch.action_mask.clone()
    mask[:, 2:] = False
    loud = replace(batch, action_mask=mask, actions=torch.where(mask, batch.actions, 50.0))
    quiet = replace(loud, actions=torch.where(mask, batch.actions, 0.0))
    assert torch.equal(policy.loss(loud), policy.loss(quiet))
    assert not torch.equal(policy.loss(loud), policy.loss(batch))


def test_more_padded_dims_change_nothing(policy: Policy, make_batch: Callable[..., Batch]) -> None:
    batch = make_batch(MIXED)
    wider = replace(
        batch,
        proprioception=torch.nn.functional.pad(batch.proprioception, (0, 4)),
        actions=torch.nn.functional.pad(batch.actions, (0, 4)),
        action_mask=torch.nn.functional.pad(batch.action_mask, (0, 4)),
    )
    assert torch.equal(policy.loss(wider), policy.loss(batch))


def test_padded_steps_and_dims_get_zero_gradient(policy: Policy, make_batch: Callable[..., Batch]) -> None:
    batch = make_batch(MIXED)
    mask = batch.action_mask.clone()
    mask[0, 2:] = False
    actions = batch.actions.clone().requires_grad_()
    policy.loss(replace(batch, actions=actions, action_mask=mask)).sum().backward()
    assert (actions.grad[~mask] == 0).all()
    assert (actions.grad[mask] != 0).any()


@pytest.mark.parametrize("rows", [[0], [1], [2], [2, 0], [1, 0, 2]])
def test_loss_does_not_depend_on_the_batch(policy: Policy, make_batch: Callable[..., Batch], rows: list[int]) -> None:
    batch = make_batch(MIXED)
    together = policy.loss(batch)
    torch.testing.assert_close(policy.loss(batch.rows(torch.tensor(rows))), together[rows], atol=1e-6, rtol=1e-6)


def test_loss_is_a_function_of_the_draw(policy: Policy, make_batch: Callable[..., Batch]) -> None:
    batch = make_batch(MIXED)
    assert torch.equal(policy.loss(batch), policy.loss(batch))
    assert (policy.loss(batch) != policy.loss(replace(batch, draw=batch.draw + 1))).all()


def test_rows_without_vision_never_meet_rows_with_it(
    make_policy: Callable[..., Policy], make_batch: Callable[..., Batch]
) -> None:
    policy, seen = make_policy(), []
    policy.backbone.register_forward_hook(lambda _, inputs, tokens: seen.append(tuple(tokens.mask.shape)))
    policy.loss(make_batch(MIXED, instructions=("wait",)))
    (rows, blind), (_, one_view), (_, two_views) = seen
    assert rows == 1 and (one_view - blind, two_views - blind) == (4, 8)


def test_gradients_reach_every_parameter(policy: Policy, make_batch: Callable[..., Batch]) -> None:
    policy.train().loss(make_batch(MIXED)).sum().backward()
    assert [name for name, parameter in policy.named_parameters() if parameter.grad is None] == []


def test_parts_hold_every_parameter_once(policy: Policy) -> None:
    parts = policy.parts()
    assert parts.keys() == {"vision", "embeddings", "language", "head"}
    counted = [id(parameter) for part in parts.values() for parameter in part]
    assert sorted(counted) == sorted(id(parameter) for parameter in policy.parameters())


def test_act_answers_in_physical_units(policy: Policy, make_observation: Callable[..., Observation]) -> None:
    chunks = MaskedPolicy(policy).act([make_observation(), make_observation(view=None)], draws=[1, 2])
    assert [chunk.embodiment for chunk in chunks] == ["arm", "arm"]
    assert all(chunk.actions.shape == (4, 4) and chunk.actions.dtype == np.float32 for chunk in chunks)


def test_act_does_not_depend_on_company(policy: Policy, make_observation: Callable[..., Observation]) -> None:
    observations = [make_observation(), make_observation(view=None, instruction="wait")]
    together = policy.act(observations, draws=[1, 2], allow_missing=["front"])
    for observation, draw, chunk in zip(observations, (1, 2), together, strict=True):
        alone = policy.act([observation], draws=[draw], allow_missing=["front"])[0]
        np.testing.assert_allclose(alone.actions, chunk.actions, atol=1e-5)


def test_act_leaves_every_module_in_its_mode(
    make_policy: Callable[..., Policy], make_observation: Callable[..., Observation]
) -> None:
    policy = make_policy().train()
    policy.backbone.eval()
    policy.act([make_observation()])
    assert policy.head.training and not policy.backbone.training


def test_two_embodiments_keep_their_own_sizes(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain], make_observation: Callable[..., Observation]
) -> None:
    policy = make_policy(domains=[make_domain("arm"), make_domain("hand", dims=5)])
    chunks = policy.act([make_observation(), make_observation(dims=5, embodiment="hand")], draws=[1, 2])
    assert [chunk.actions.shape for chunk in chunks] == [(4, 4), (4, 5)]


def test_an_alignment_head_does_not_act(aligned: Policy, make_observation: Callable[..., Observation]) -> None:
    with pytest.raises(TypeError, match="does not act"):
        aligned.act([make_observation()])


def test_a_sample_without_valid_actions_is_refused(
    make_policy: Callable[..., Policy], make_batch: Callable[..., Batch]
) -> None:
    batch = make_batch(MASKED)
    with pytest.raises(ValueError, match="without a single valid action"):
        make_policy().loss(replace(batch, action_mask=torch.zeros_like(batch.action_mask)))


def test_an_answer_that_is_not_finite_is_no_answer(
    make_policy: Callable[..., Policy], make_observation: Callable[..., Observation]
) -> None:
    policy = make_policy()
    torch.nn.init.constant_(policy.backbone.model.language_model.norm.weight, float("nan"))
    with pytest.raises(FloatingPointError, match="actions that are not finite: execute none"):
        policy.act([make_observation()])
