"""Four measures of whether predicted motion follows the instruction's direction (section 9 of the paper).

``N`` trials; of each, the predicted endpoint displacement ``p`` and the demonstrated one ``g``, metres or any other one
unit, the unit vector ``u`` its instruction commands, and the label of its direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from einops import einsum, rearrange
from torch import Tensor

NEAR_ZERO = 1e-8
EPSILON = 1e-8


def endpoint_displacement(actions: Tensor, translation: Sequence[int], steps: Tensor | None = None) -> Tensor:
    """Sum of the translational increments of each chunk, ``(N, 3)``.

    Args:
        actions: ``(N, H, A)``.
        translation: The three dimensions of ``A`` that hold translational increments.
        steps: ``(N,)`` how many leading steps count; None counts all ``H``.
    """
    increments = actions[..., list(translation)]
    if steps is not None:
        counted = torch.arange(actions.shape[1], device=actions.device) < rearrange(steps, "n -> n 1")
        increments = torch.where(rearrange(counted, "n h -> n h 1"), increments, 0.0)
    return increments.sum(dim=1)


def aligned(predicted: Tensor, canonical: Tensor) -> Tensor:
    """``(N,)`` bool: ``p · u > 0``, the displacement ends in the half-space the instruction commands."""
    inward: Tensor = einsum(predicted.double(), canonical.double(), "n d, n d -> n")
    return inward > 0


def directional_alignment_rate(predicted: Tensor, canonical: Tensor) -> Tensor:
    """DAR: the fraction of trials with ``p · u > 0``, in [0, 1]; 0.5 is chance.

    Args:
        predicted: ``(N, 3)``.
        canonical: ``(N, 3)`` unit vectors.
    """
    return aligned(predicted, canonical).double().mean()


def consistencies(predicted: Tensor, truth: Tensor) -> Tensor:
    """``(N,)``: ``p · g / (|p| |g|)``, or 0 where either norm is below 1e-8."""
    predicted, truth = predicted.double(), truth.double()
    norms = torch.linalg.vector_norm(predicted, dim=-1), torch.linalg.vector_norm(truth, dim=-1)
    moving = (norms[0] >= NEAR_ZERO) & (norms[1] >= NEAR_ZERO)
    return torch.where(moving, einsum(predicted, truth, "n d, n d -> n") / (norms[0] * norms[1]), 0.0)


def direction_consistency_score(predicted: Tensor, truth: Tensor) -> Tensor:
    """DCS: the mean cosine between predicted and demonstrated displacement, in [-1, 1].

    Trials in which either hardly moves (norm below 1e-8) count as 0.

    Args:
        predicted: ``(N, 3)``.
        truth: ``(N, 3)``.
    """
    return consistencies(predicted, truth).mean()


def separability_ratio(predicted: Tensor, labels: Tensor) -> Tensor:
    """Mean distance between directions over mean distance within them; 1 means that directions cannot be told apart.

    With ``d(c, c')`` the mean distance between a trial of direction ``c`` and one of ``c'`` (for ``c = c'``, over
    pairs of different trials), it is ``mean over pairs c < c' of d(c, c')  /  (mean over c of d(c, c) + 1e-8)``.
    Every direction weighs the same, however many trials it has; one with a single trial has no ``d(c, c)`` and is left
    out of that mean.

    Args:
        predicted: ``(N, 3)``.
        labels: ``(N,)`` integer labels.

    Raises:
        ValueError: If there are fewer than two directions, or none with two trials.
    """
    distances = _distances(predicted)
    members = _members(labels)
    within = [distances[own][:, own].sum() / (len(own) * (len(own) - 1)) for own in members if len(own) > 1]
    if not within:
        raise ValueError(
            "The separability ratio needs a direction with at least two trials; every one has a single trial."
        )
    between = [distances[one][:, other].mean() for one, other in combinations(members, 2)]
    return torch.stack(between).mean() / (torch.stack(within).mean() + EPSILON)


def silhouette_score(predicted: Tensor, labels: Tensor) -> Tensor:
    """How well displacements cluster by direction, in [-1, 1] (Rousseeuw 1987).

    With ``a`` a trial's mean distance to the other trials of its direction and ``b`` the least, over other directions,
    of its mean distance to them, the trial's silhouette is ``(b - a) / max(a, b)``; the score is the mean over trials.
    A trial that is alone in its direction counts as 0, as it does in scikit-learn.

    Args:
        predicted: ``(N, 3)``.
        labels: ``(N,)`` integer labels.

    Raises:
        ValueError: If there are fewer than two directions.
    """
    distances = _distances(predicted)
    members = _members(labels)
    values = torch.zeros(len(labels), dtype=distances.dtype, device=distances.device)
    for own in members:
        if len(own) == 1:
            continue
        inner = distances[own][:, own].sum(dim=1) / (len(own) - 1)
        outer = torch.stack([distances[own][:, other].mean(dim=1) for other in members if other is not own])
        nearest = outer.min(dim=0).values
        largest = torch.maximum(inner, nearest)
        values[own] = torch.where(largest > 0, (nearest - inner) / largest, 0.0)
    return values.mean()


def _distances(points: Tensor) -> Tensor:
    points = points.double()
    distances: Tensor = torch.linalg.vector_norm(rearrange(points, "n d -> n 1 d") - points, dim=-1)
    return distances


def _members(labels: Tensor) -> list[Tensor]:
    members = [torch.nonzero(labels == label).flatten() for label in torch.unique(labels)]
    if len(members) < 2:
        raise ValueError(
            f"Directions can only be told apart where there are at least two; these trials have {len(members)}."
        )
    return members
