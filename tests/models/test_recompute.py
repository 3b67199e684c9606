"""Layers that run again in the backward pass give the gradients of layers that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch


def _gradients(policy: Policy, batch: Batch) -> tuple[dict[str, Tensor], Counter[str]]:
    """Gradients of the loss in training mode, and how often one layer of each kind ran."""
    runs: Counter[str] = Counter()
    one_of_each = {
        "vision": policy.backbone.model.vision_tower.encoder.layer[0].mlp,
        "language": policy.backbone.model.language_model.layers[1].mlp,
        "head": policy.head.blocks[1].feedforward,
    }
    for name, module in one_of_each.items():
        # Before and not after: a second run stops as soon as it has what the backward pass lacks.
        module.register_forward_pre_hook(lambda *_, name=name: runs.update([name]))
    torch.manual_seed(7)
    policy.train().loss(batch).sum().backward()
    return {name: parameter.grad for name, parameter in policy.named_parameters()}, runs


def test_gradients_and_dropout_are_the_same(
    small_backbone: Callable[..., InternVL3],
    small_head: Callable[..., FlowMatchingHead],
    make_policy: Callable[..., Policy],
    make_batch: Callable[..., Batch],
) -> None:
    batch = make_batch([[True, False], [True, True], [False, False]])
    plain, frugal = (
        make_policy(small_backbone(recompute=again), small_head(dropout=0.5, recompute=again))
        for again in (False, True)
    )
    frugal.load_state_dict(plain.state_dict())
    (expected, once), (found, twice) = _gradients(plain, batch), _gradients(frugal, batch)
    assert {name: 2 * count for name, count in once.items()} == twice
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-6, msg=name)
    torch.manual_seed(8)
    assert not torch.equal(plain.loss(batch), frugal.loss(batch)), "dropout draws nothing"


@torch.no_grad()
def test_it_survives_saving_and_changes_no_chunk(
    small_backbone: Callable[..., InternVL3], make_policy: Callable[..., Policy], make_observation: Callable, tmp_path
) -> None:
    policy = make_policy(small_backbone(recompute=True))
    policy.save(tmp_path)
    loaded = Policy.load(tmp_path)
    assert loaded.backbone.model.language_model.layers[0].gradient_checkpointing
    ours, theirs = (p.act([make_observation()], draws=[3])[0].actions for p in (policy, loaded))
    assert (ours == theirs).all()
