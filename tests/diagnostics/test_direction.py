"""The four measures against answers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from la4vla.diagnostics.direction import (
    direction_consistency_score,
    directional_alignment_rate,
    endpoint_displacement,
    separability_ratio,
    silhouette_score,
)
from la4vla.diagnostics.metrics import (
    DirectionalAlignmentRate,
    DirectionConsistencyScore,
    SeparabilityRatio,
    SilhouetteScore,
)

UP, LEFT = [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]
# two directions on a line: 0, 2 and 10, 14
POINTS = torch.tensor([[0.0, 0, 0], [2, 0, 0], [10, 0, 0], [14, 0, 0]])
LABELS = torch.tensor([3, 3, 7, 7])


def test_endpoint_displacement_sums_the_translation_of_the_steps_that_count():
    actions = torch.arange(24.0).reshape(2, 3, 4)
    whole = endpoint_displacement(actions, (2, 0, 1))
    assert whole.tolist() == [[2 + 6 + 10, 0 + 4 + 8, 1 + 5 + 9], [14 + 18 + 22, 12 + 16 + 20, 13 + 17 + 21]]
    part = endpoint_displacement(actions, (2, 0, 1), torch.tensor([1, 2]))
    assert part.tolist() == [[2, 0, 1], [14 + 18, 12 + 16, 13 + 17]]
    assert torch.equal(endpoint_displacement(actions, (2, 0, 1), torch.tensor([5, 3])), whole)


def test_steps_that_do_not_count_may_hold_anything():
    actions = torch.ones(1, 3, 3)
    actions[0, 2] = torch.nan
    assert endpoint_displacement(actions, (0, 1, 2), torch.tensor([2])).tolist() == [[2, 2, 2]]


def test_directional_alignment_rate_counts_the_commanded_half_space():
    predicted = torch.tensor([[5.0, 5, 0.1], [0, 0, -1], [0, 1, 0], [0, 0, 0]])
    assert directional_alignment_rate(predicted, torch.tensor([UP, UP, LEFT, LEFT])) == 0.5


def test_direction_consistency_score_is_the_mean_cosine_and_zero_without_motion():
    predicted = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, -3, 0], [0, 0, 0], [1, 0, 0]])
    truth = torch.tensor([[2.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1e-9]])
    expected = (1 + math.sqrt(0.5) - 1 + 0 + 0) / 5
    assert direction_consistency_score(predicted, truth).item() == pytest.approx(expected)


def test_separability_ratio_by_hand():
    # within: 2 and 4, mean 3; between: 10, 14, 8, 12, mean 11
    assert separability_ratio(POINTS, LABELS).item() == pytest.approx(11 / 3)


def test_every_direction_weighs_the_same_in_the_separability_ratio():
    points = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 0], [6, 0, 0], [8, 0, 0], [0, 10, 0]])
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    between = (7 + 10 + (math.hypot(6, 10) + math.hypot(8, 10)) / 2) / 3
    assert separability_ratio(points, labels).item() == pytest.approx(between / ((0 + 2) / 2))


def test_silhouette_score_by_hand():
    # a = 2, 2, 4, 4; b = 12, 10, 9, 13
    expected = (10 / 12 + 8 / 10 + 5 / 9 + 9 / 13) / 4
    assert silhouette_score(POINTS, LABELS).item() == pytest.approx(expected)


def test_silhouette_score_is_negative_for_swapped_clusters_and_zero_for_lone_trials():
    assert silhouette_score(POINTS, torch.tensor([0, 1, 1, 0])) < 0
    with_lone = silhouette_score(torch.cat([POINTS, torch.tensor([[1000.0, 0, 0]])]), torch.tensor([3, 3, 7, 7, 9]))
    assert with_lone.item() == pytest.approx((10 / 12 + 8 / 10 + 5 / 9 + 9 / 13) / 5)
    assert silhouette_score(torch.zeros(4, 3), LABELS) == 0


def literal_silhouette(points, labels):
    """The definition, trial by trial."""
    total = 0.0
    for i, label in enumerate(labels):
        own = [math.dist(points[i], points[j]) for j in range(len(labels)) if j != i and labels[j] == label]
        others = [
            np.mean([math.dist(points[i], points[j]) for j in range(len(labels)) if labels[j] == other])
            for other in set(labels) - {label}
        ]
        if own:
            a, b = np.mean(own), min(others)
            total += (b - a) / max(a, b)
    return total / len(labels)


def test_silhouette_score_agrees_with_its_definition_on_many_directions():
    random = np.random.default_rng(0)
    labels = random.integers(0, 6, 40)
    points = random.normal(size=(40, 3)) + random.normal(size=(6, 3))[labels]
    ours = silhouette_score(torch.from_numpy(points), torch.from_numpy(labels)).item()
    assert ours == pytest.approx(literal_silhouette(points.tolist(), labels.tolist()))


def test_chance_predictions_cannot_be_told_apart():
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randn(400, 3, generator=generator)
    labels = torch.randint(0, 6, (400,), generator=generator)
    directions = torch.cat([torch.eye(3), -torch.eye(3)])[labels]
    assert directional_alignment_rate(predicted, directions).item() == pytest.approx(0.5, abs=0.08)
    assert direction_consistency_score(predicted, directions).item() == pytest.approx(0.0, abs=0.08)
    assert separability_ratio(predicted, labels).item() == pytest.approx(1.0, abs=0.04)
    assert silhouette_score(predicted, labels).item() == pytest.approx(0.0, abs=0.08)


def test_one_direction_alone_is_refused():
    with pytest.raises(ValueError, match="at least two; these trials have 1"):
        silhouette_score(POINTS, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="every one has a single trial"):
        separability_ratio(POINTS, torch.arange(4))


def test_metrics_agree_with_functions_however_trials_are_batched():
    generator = torch.Generator().manual_seed(1)
    predicted, truth = torch.randn(2, 20, 3, generator=generator)
    labels = torch.arange(20) % 3
    pairs = [
        (DirectionalAlignmentRate(), directional_alignment_rate, truth),
        (DirectionConsistencyScore(), direction_consistency_score, truth),
        (SeparabilityRatio(), separability_ratio, labels),
        (SilhouetteScore(), silhouette_score, labels),
    ]
    for metric, function, other in pairs:
        for rows in (slice(0, 7), slice(7, 20)):
            metric.update(predicted[rows], other[rows])
        assert metric.compute().item() == pytest.approx(function(predicted, other).item())
