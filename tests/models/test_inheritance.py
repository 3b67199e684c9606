"""What a policy takes over, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain


def _doubled(domain: Domain) -> Domain:
    return replace(domain, actions=replace(domain.actions, maximum=domain.actions.maximum * 2))


def test_a_finetuned_policy_starts_as_its_predecessor(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain], make_batch: Callable[..., Batch]
) -> None:
    before, after = make_policy(), make_policy(domains=[_doubled(make_domain())])
    batch = make_batch([[True, False], [False, False]])
    assert not torch.allclose(after.loss(batch), before.loss(batch))
    told = after.inherit(before)
    assert torch.equal(after.loss(batch), before.loss(batch))
    assert told == "Inherited: backbone, head, statistics of arm. Fresh: nothing."


def test_another_head_starts_fresh(
    make_policy: Callable[..., Policy],
    aligned: Policy,
    small_head: Callable[..., FlowMatchingHead],
    make_domain: Callable[..., Domain],
) -> None:
    after = make_policy(domains=[make_domain("arm"), make_domain("hand")])
    head = {name: tensor.clone() for name, tensor in after.head.state_dict().items()}
    assert after.inherit(aligned) == "Inherited: backbone, statistics of arm. Fresh: head, statistics of hand."
    assert all(torch.equal(tensor, head[name]) for name, tensor in after.head.state_dict().items())
    for mine, theirs in zip(after.backbone.parameters(), aligned.backbone.parameters(), strict=True):
        assert torch.equal(mine, theirs) and mine is not theirs
    longer = make_policy(head=small_head(horizon=5))
    assert longer.inherit(make_policy()) == "Inherited: backbone, statistics of arm. Fresh: head."
    for changes in ({"predicts": "actions"}, {"heads": small_head().arguments["heads"] // 2}):
        other = make_policy(head=small_head(**changes))
        assert other.inherit(make_policy()) == "Inherited: backbone, statistics of arm. Fresh: head."
    same = make_policy(head=small_head(dropout=0.5, integration_steps=3))
    assert same.inherit(make_policy()) == "Inherited: backbone, head, statistics of arm. Fresh: nothing."


def test_a_predecessor_without_vision_lends_its_statistics_not_its_view(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain]
) -> None:
    blind, seeing = (make_domain(view=view) for view in (None, "front"))
    for mine, theirs, view in ((seeing, blind, "front"), (blind, seeing, "front"), (blind, blind, None)):
        after = make_policy(domains=[_doubled(mine)])
        after.inherit(make_policy(domains=[theirs]))
        assert (after.domains[0].view.name if after.domains[0].view else None) == view
        assert after.domains[0].actions == theirs.actions


def test_what_does_not_fit_is_refused_and_changes_nothing(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain], small_backbone: Callable[..., InternVL3]
) -> None:
    before = make_policy()
    stranger = replace(make_domain(), embodiment=Embodiment("arm", ("x",) * 4, ("x",) * 4, ("front",), 20.0))
    zscored = Policy(small_backbone(), make_policy().head, [make_domain()], "zscore")
    for after, sentence in (
        (make_policy(domains=[make_domain(view="side")]), "saw 'arm' on view 'front', this data shows view 'side'"),
        (make_policy(small_backbone(vision_layers=2)), "backbone has other sizes"),
        (make_policy(domains=[stranger]), "knows another 'arm'"),
        (zscored, "normalises by bounds, this recipe by zscore"),
    ):
        torch.nn.init.constant_(after.backbone.model.language_model.norm.weight, 3.0)
        with pytest.raises(ValueError, match=sentence):
            after.inherit(before)
        assert (after.backbone.model.language_model.norm.weight == 3).all()
