"""Rates, intervals and means against published and hand-computed values."""

import pytest
import torch

from la4vla.evaluation.outcomes import Outcome
from la4vla.evaluation.success import SuccessRate, SuccessRateMetric, Summary, summarize, wilson_interval

GROUPS = {"easy": 28, "medium": 11, "hard": 6, "very_hard": 5}

# Successes by group at ten episodes per task, and the means they give: the five LA4VLA rows on Meta-World.
LA4VLA = {
    "no pretraining": ((231, 80, 25, 41), 69.73, 75.4, 2.4),
    "VLA": ((248, 75, 41, 47), 79.78, 82.2, 2.1),
    "LA": ((261, 90, 39, 46), 83.00, 87.2, 2.1),
    "LA-VLA": ((256, 100, 40, 49), 86.75, 89.0, 1.8),
    "MixPT": ((249, 104, 40, 50), 87.53, 88.6, 1.7),
}


def outcomes(counts):
    """Ten episodes of every task, solved as often as ``counts`` say."""
    for (group, tasks), successes in zip(GROUPS.items(), counts, strict=True):
        for episode in range(10 * tasks):
            task = f"{group}-{episode // 10}"
            yield Outcome("metaworld", "policy", task, group, episode, episode < successes, 100)


@pytest.mark.parametrize("row", LA4VLA)
def test_the_rows_of_the_paper_are_reproduced_from_counts(row):
    counts, group_mean, pooled, error = LA4VLA[row]
    summary = summarize(outcomes(counts))
    assert [rate.successes for rate in summary.groups.values()] == list(counts)
    # the paper averages group rates that it has rounded to a tenth first
    assert 100 * summary.group_mean == pytest.approx(group_mean, abs=0.05)
    printed = sum(round(100 * rate.rate, 1) for rate in summary.groups.values()) / 4
    assert printed == pytest.approx(group_mean, abs=0.006)
    assert 100 * summary.pooled.rate == pytest.approx(pooled)
    assert round(100 * summary.group_mean_standard_error, 1) == error


def test_the_two_means_order_the_best_rows_differently():
    la_vla, mixed = (summarize(outcomes(LA4VLA[row][0])) for row in ("LA-VLA", "MixPT"))
    assert la_vla.group_mean < mixed.group_mean
    assert la_vla.pooled.rate > mixed.pooled.rate


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (8, 10, 0.4902, 0.9433),
        (95, 100, 0.8882, 0.9785),
    ],
)
def test_wilson_interval(successes, episodes, low, high):
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("successes", "episodes"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes, episodes):
    with pytest.raises(ValueError, match="at least one episode"):
        wilson_interval(successes, episodes)


def test_tasks_are_counted_apart():
    rows = [Outcome("b", "p", task, "", seed, seed < 2, 1) for task in ("x", "y") for seed in range(3 + (task == "y"))]
    summary = summarize(rows)
    assert summary.tasks == {"x": SuccessRate(2, 3), "y": SuccessRate(2, 4)}
    assert summary.groups == {}
    assert summary.pooled == SuccessRate(4, 7)


def test_policies_are_never_mixed():
    rows = [Outcome("b", policy, "x", "", 0, True, 1) for policy in ("one", "two")]
    with pytest.raises(ValueError, match=r"\['one', 'two'\]"):
        summarize(rows)
    with pytest.raises(ValueError, match="no outcome"):
        summarize([])


def test_the_metric_counts_over_batches():
    metric = SuccessRateMetric()
    metric.update(torch.tensor([True] * 5))
    metric.update(torch.tensor([True, True, True, False, False]))
    computed = {name: value.item() for name, value in metric.compute().items()}
    assert computed == pytest.approx({"success_rate": 0.8, "low": 0.4902, "high": 0.9433}, abs=1e-4)


def test_the_mean_of_groups_has_an_interval_where_everything_or_nothing_was_solved():
    def of(successes):
        rates = {"easy": SuccessRate(successes, 12), "hard": SuccessRate(successes, 12)}
        return Summary({}, rates, SuccessRate(2 * successes, 24)).group_mean_interval

    low, _ = wilson_interval(12, 12)
    assert of(12) == pytest.approx((1 - (1 - low) / 2**0.5, 1.0))
    assert of(0) == pytest.approx((0.0, (1 - low) / 2**0.5))
    one = Summary({}, {"easy": SuccessRate(3, 10)}, SuccessRate(3, 10))
    assert one.group_mean_interval == pytest.approx(wilson_interval(3, 10))
