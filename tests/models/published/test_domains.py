"""What published statistics make of a number, here and there."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from la4vla.models.policy import Policy
from la4vla.models.published import domains


def _official(x: float, low: float, high: float) -> float:
    return min(max(2 * (x - low) / (high - low + 1e-8) - 1, -1), 1)


@pytest.mark.parametrize("value", [0.0, 0.04, -3.0, 750.0])
def test_a_constant_dimension_is_fed_as_minus_one(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], value: float
) -> None:
    lows, highs = [value, -1.0, 0.0, 2.0], [value, 1.0, 5.0, 3.0]
    leaf = {"min": lows, "max": highs}
    policy = load_official(save_official(stats={"arm": {"data": {"observation.state": leaf, "action": leaf}}}))
    row, given = torch.tensor([0]), torch.tensor([[value, 0.5, 1.0, 9.0]])
    expected = torch.tensor([_official(x, *bounds) for x, *bounds in zip(given[0].tolist(), lows, highs, strict=True)])
    torch.testing.assert_close(policy.normalizer.proprioception(given, row)[0, :4], expected, atol=2e-4, rtol=0)
    # Constant actions are 0 in both, and come back as their constant.
    actions = policy.normalizer.actions(given[:, None], row)
    assert actions[0, 0, 0] == 0 and policy.normalizer.physical_actions(actions, row)[0, 0, 0] == given[0, 0]


def test_a_constant_dimension_of_ours_stays_zero_there(make_domain: Callable[..., object]) -> None:
    domain = make_domain()
    domain.proprioception.minimum[0] = domain.proprioception.maximum[0] = 0.5
    leaf = domains.to_official([domain], "bounds", "arm", "data")["arm"]["data"]["observation.state"]
    assert _official(0.5, leaf["min"][0], leaf["max"][0]) == pytest.approx(0, abs=1e-4)
    assert _official(1.0, leaf["min"][1], leaf["max"][1]) == pytest.approx(-1 + 2 * 3 / 6, abs=1e-6)


def test_unknown_statistics_are_left_out(make_domain: Callable[..., object]) -> None:
    domain = make_domain()
    domain.actions.q01[:] = math.nan
    leaf = domains.to_official([domain], "bounds", None, "data")["arm"]["data"]["action"]
    assert leaf.keys() == {"min", "max", "mean", "std", "q99"}
