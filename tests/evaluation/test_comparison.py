"""Paired comparisons with known p-values."""

import pytest

from la4vla.evaluation.comparison import Comparison, compare
from la4vla.evaluation.outcomes import Outcome


def run(policy, successes):
    return [Outcome("b", policy, "reach", "", seed, bool(success), 9) for seed, success in enumerate(successes)]


def test_only_episodes_that_differ_decide():
    comparison = compare(run("one", [1] * 8 + [0] * 4), run("two", [1, 1] + [0] * 6 + [0, 0, 0, 1]))
    assert comparison == Comparison(wins=6, losses=1, episodes=12)
    assert comparison.difference == pytest.approx(5 / 12)
    assert comparison.p_value == pytest.approx(2 * (1 + 7) / 2**7)  # 0 or 1 losses of 7, two-sided


def test_equal_policies_differ_by_nothing():
    comparison = compare(run("one", [1, 0]), run("two", [1, 0]))
    assert (comparison.difference, comparison.p_value) == (0, 1)


def test_other_episodes_are_refused():
    with pytest.raises(ValueError, match="2 are shared, 1 are the first's alone, 0 the second's"):
        compare(run("one", [1, 1, 1]), run("two", [1, 1]))
    with pytest.raises(ValueError, match="occurs twice"):
        compare(run("one", [1]) * 2, run("two", [1]))
    with pytest.raises(ValueError, match="0 are shared"):
        compare([], [])


def test_what_so_many_episodes_can_detect():
    # by hand: 200 pairs of which 42 differ; at d = 0.21 and a difference of 0.09 the formula asks for 200 pairs
    comparison = Comparison(wins=12, losses=30, episodes=200)
    assert comparison.detectable_difference == pytest.approx(0.0902, abs=5e-4)
    needed = ((1.95996 * 0.21**0.5 + 0.84162 * (0.21 - 0.0902**2) ** 0.5) / 0.0902) ** 2
    assert needed == pytest.approx(200, abs=1)
    assert Comparison(0, 0, 200).detectable_difference == pytest.approx(6 / 200)
    more = Comparison(wins=120, losses=300, episodes=2000)
    assert more.detectable_difference < comparison.detectable_difference / 3
