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
    assert told.startswith("Inherited: backbone, head, statistics of arm. Fresh: nothing. Clamped: action axis_")
    assert "and 0.8% of that lies outside of -1 to 2 by more than 5% of that range" in told


def _moved(domain: Domain, dim: int, low: float, high: float) -> Domain:
    """``domain`` with one action that goes evenly from ``low`` to ``high``."""
    middle, reach = (low + high) / 2, (high - low) / 2
    values = {"minimum": low, "maximum": high, "q01": middle - 0.98 * reach, "q99": middle + 0.98 * reach}
    values |= {"mean": middle, "std": reach / 3**0.5}
    changed = {name: getattr(domain.actions, name).copy() for name in values}
    for name, value in values.items():
        changed[name][dim] = value
    return replace(domain, actions=replace(domain.actions, **changed))


@pytest.mark.parametrize("normalization", ["bounds", "quantiles", "zscore"])
@pytest.mark.parametrize(("low", "high"), [(-0.4, 0.4), (0.2, 0.2)])
def test_what_never_moved_cannot_learn_to_under_the_old_statistics(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain], normalization: str, low: float, high: float
) -> None:
    before, after = (
        Policy(policy.backbone, policy.head, [_moved(make_domain(), 3, *ends)], normalization)
        for policy, ends in ((make_policy(), (0.0, 0.0)), (make_policy(), (low, high)))
    )
    told = f"action axis_3 was always 0 there and goes from {low:g} to {high:g} here"
    with pytest.raises(ValueError, match=f"{told}.*model.statistics=union"):
        after.inherit(before)
    assert after.inherit(before, statistics="data").startswith("Inherited: backbone, head. Fresh: statistics of arm.")


def test_larger_motions_than_the_predecessor_knew_are_refused_told_or_taken(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain]
) -> None:
    before = make_policy(domains=[_moved(make_domain(), 0, -1.0, 1.0)])
    wider, wide = (_moved(make_domain(), 0, -reach, reach) for reach in (3.0, 1.02))
    sentence = r"action axis_0 goes from -3 to 3 here, and 63.3% of that lies outside of -1 to 1 by .*\(at most 5% may"
    with pytest.raises(ValueError, match=sentence):
        make_policy(domains=[wider]).inherit(before)
    assert "63.3%" in make_policy(domains=[wider]).inherit(before, most_clamped=0.7)
    assert "Clamped" not in make_policy(domains=[wide]).inherit(before)  # by less than anyone would notice
    for statistics, low, high in (("union", -3.0, 3.0), ("data", -3.0, 3.0), ("predecessor", -1.0, 1.0)):
        after = make_policy(domains=[wider])
        after.inherit(before, statistics, most_clamped=1.0)
        actions = after.domains[0].actions
        assert (actions.minimum[0], actions.maximum[0]) == (low, high)
        chunk = torch.full((1, 1, 4), 2.5)
        rows = after.normalizer.rows(("arm",))
        back = after.normalizer.physical_actions(after.normalizer.actions(chunk, rows), rows)
        assert back[0, 0, 0] == pytest.approx(min(2.5, high))


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
    stranger = replace(make_domain(), embodiment=Embodiment("arm", tuple("wxyz"), tuple("wxyz"), ("front",), 20.0))
    zscored = Policy(small_backbone(), make_policy().head, [make_domain()], "zscore")
    for after, sentence in (
        (
            make_policy(domains=[make_domain(view="side")]),
            "saw 'arm' on view 'front', this data shows view 'side' \\(name: front there, side here\\)",
        ),
        (make_policy(small_backbone(vision_layers=2)), "backbone has other sizes"),
        (make_policy(domains=[stranger]), r"knows another 'arm' \(proprioception: "),
        (zscored, "normalises by bounds, this recipe by zscore"),
    ):
        torch.nn.init.constant_(after.backbone.model.language_model.norm.weight, 3.0)
        with pytest.raises(ValueError, match=sentence):
            after.inherit(before)
        assert (after.backbone.model.language_model.norm.weight == 3).all()
