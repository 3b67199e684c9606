"""Physical units to [-1, 1] and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from la4vla.models.normalizer import Normalizer
from la4vla.schema.statistics import Domain


@pytest.fixture
def domains(make_domain: Callable[..., Domain]) -> list[Domain]:
    """Two bodies; the second one's last action never changes."""
    hand = make_domain("hand", dims=3)
    numbers = {name: getattr(hand.actions, name).copy() for name in ("minimum", "maximum", "mean", "q01", "q99", "std")}
    for name, values in numbers.items():
        values[2] = 0.0 if name == "std" else 0.7
    return [make_domain("arm"), replace(hand, actions=replace(hand.actions, **numbers))]


@pytest.mark.parametrize("normalization", ["bounds", "quantiles", "zscore"])
def test_actions_round_trip(domains: list[Domain], normalization: str) -> None:
    normalizer = Normalizer(domains, 6, 6, normalization)
    rows = normalizer.rows(("arm", "hand"))
    physical = torch.zeros(2, 5, 4)
    physical[0] = (torch.rand(5, 4) * 2 - 0.8) * torch.arange(1, 5)
    physical[1, :, :2] = (torch.rand(5, 2) * 2 - 0.8) * torch.arange(1, 3)
    physical[1, :, 2] = 0.7
    back = normalizer.physical_actions(normalizer.actions(physical, rows), rows)
    torch.testing.assert_close(back[..., :4], physical, atol=1e-5, rtol=0)
    assert (back[..., 4:] == 0).all()


@pytest.mark.parametrize(
    ("normalization", "low", "high"), [("bounds", -1.0, 2.0), ("quantiles", -0.9, 1.8), ("zscore", -0.5, 1.5)]
)
def test_limits_become_one(domains: list[Domain], normalization: str, low: float, high: float) -> None:
    normalizer = Normalizer(domains, 4, 4, normalization)
    scale = torch.arange(1.0, 5)
    rows = normalizer.rows(("arm", "arm"))
    normalised = normalizer.proprioception(torch.stack([low * scale, high * scale]), rows)
    torch.testing.assert_close(normalised, torch.tensor([[-1.0] * 4, [1.0] * 4]))


def test_what_lies_beyond_is_clamped_except_by_zscore(domains: list[Domain]) -> None:
    far = torch.full((1, 4), 100.0)
    for normalization, clamped in (("bounds", True), ("quantiles", True), ("zscore", False)):
        normalizer = Normalizer(domains, 4, 4, normalization)
        normalised = normalizer.proprioception(far, normalizer.rows(("arm",)))
        assert (normalised == 1).all() if clamped else (normalised > 1).all()


def test_constant_and_padded_dims_become_zero(domains: list[Domain]) -> None:
    normalizer = Normalizer(domains, 6, 6, "bounds")
    rows = normalizer.rows(("hand",))
    normalised = normalizer.actions(torch.full((1, 2, 6), 9.0), rows)
    assert (normalised[..., 2:] == 0).all() and (normalised[..., :2] == 1).all()
    assert normalizer.action_mask(rows).tolist() == [[True] * 3 + [False] * 3]


def test_statistics_travel_as_buffers(domains: list[Domain], make_domain: Callable[..., Domain]) -> None:
    normalizer = Normalizer(domains, 6, 6, "bounds")
    other = Normalizer([make_domain("arm"), make_domain("hand")], 6, 6, "bounds")
    other.load_state_dict(normalizer.state_dict())
    rows, physical = normalizer.rows(("hand",)), torch.rand(1, 4, 3)
    assert torch.equal(other.actions(physical, rows), normalizer.actions(physical, rows))


def test_what_does_not_fit_is_refused(domains: list[Domain]) -> None:
    with pytest.raises(ValueError, match="'arm' has 4 action dimensions and the head has room for 3"):
        Normalizer(domains, 4, 3, "bounds")
    with pytest.raises(ValueError, match="at least one domain"):
        Normalizer([], 4, 4, "bounds")
    with pytest.raises(ValueError, match="one domain per embodiment"):
        Normalizer([domains[0], domains[0]], 4, 4, "bounds")
    with pytest.raises(ValueError, match=r"knows the embodiments \['arm', 'hand'\], but was given \['leg'\]"):
        Normalizer(domains, 4, 4, "bounds").rows(("arm", "leg"))


def test_rounding_noise_counts_as_constant(make_domain: Callable[..., Domain]) -> None:
    domain = make_domain("arm", dims=1)
    nearly = replace(domain.actions, minimum=np.array([0.5]), maximum=np.array([0.5 + 1e-8]))
    normalizer = Normalizer([replace(domain, actions=nearly)], 1, 1, "bounds")
    assert normalizer.actions(torch.tensor([[[0.5 + 1e-8]]]), normalizer.rows(("arm",))).item() == 0


def _seldom(domain: Domain, dim: int) -> Domain:
    """``domain`` whose action ``dim`` is 0 but in one step of 500, when it is 1."""
    values = {"minimum": 0.0, "maximum": 1.0, "q01": 0.0, "q99": 0.0, "mean": 0.002, "std": 0.0447}
    changed = {name: getattr(domain.actions, name).copy() for name in values}
    for name, value in values.items():
        changed[name][dim] = value
    return replace(domain, actions=replace(domain.actions, **changed))


@pytest.mark.parametrize("normalization", ["bounds", "quantiles", "zscore"])
def test_a_dimension_that_moves_seldom_is_not_erased(make_domain: Callable[..., Domain], normalization: str) -> None:
    normalizer = Normalizer([_seldom(make_domain(), 3)], 4, 4, normalization)
    rows = normalizer.rows(("arm",))
    flag = torch.tensor([[[0.0, 0, 0, 0], [0, 0, 0, 1]]])
    normalised = normalizer.actions(flag, rows)[0, :, 3]
    assert normalised[1] - normalised[0] > 1.9
    torch.testing.assert_close(
        normalizer.physical_actions(normalizer.actions(flag, rows), rows), flag, atol=1e-5, rtol=0
    )
