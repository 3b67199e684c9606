"""Statistics of several sets together, from their statistics alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from la4vla.schema.statistics import RANKS, Domain, Statistics


def merge_statistics(parts: Sequence[Statistics]) -> Statistics:
    """The statistics of several sets together, from their statistics alone.

    Count, range, mean and standard deviation are exact. The quantiles are those of the mixture of the parts'
    distribution functions, each taken as linear between its minimum, 1 % and 99 % quantiles and maximum; so they are
    exact where the parts are alike, as an LA set and its VLA twin are.
    """
    moments = [(part.count, part.mean, np.square(part.std) * part.count) for part in parts]
    count, mean, m2 = combined(*(np.asarray(part) for part in zip(*moments, strict=True)))
    low, high = (np.array([_quantile(parts, q, d) for d in range(len(mean))]) for q in (0.01, 0.99))
    known = all(part.quantiles is not None for part in parts)
    between = [[_quantile(parts, q, d, fine=True) for d in range(len(mean))] for q in RANKS] if known else None
    minimum = np.min([part.minimum for part in parts], axis=0)
    maximum = np.max([part.maximum for part in parts], axis=0)
    return Statistics(
        minimum, maximum, mean, np.sqrt(m2 / count), low, high, count, None if between is None else np.array(between)
    )


def merge_domains(domains: Sequence[Domain]) -> Domain:
    """Domains of one embodiment and one view as one, with their statistics merged."""
    if len(domains) == 1:
        return domains[0]
    return Domain(
        embodiment=domains[0].embodiment,
        view=next((domain.view for domain in domains if domain.view is not None), None),
        proprioception=merge_statistics([domain.proprioception for domain in domains]),
        actions=merge_statistics([domain.actions for domain in domains]),
    )


def combined(counts: np.ndarray, means: np.ndarray, m2s: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Count, mean and M2 of the union of parts, ``M2 = sum(M2_i) + sum(n_i (mean_i - mean)^2)``."""
    weights = counts.astype(np.float64)[:, None]
    mean = (weights * means).sum(axis=0) / weights.sum()
    return int(counts.sum()), mean, m2s.sum(axis=0) + (weights * np.square(means - mean)).sum(axis=0)


def _quantile(parts: Sequence[Statistics], q: float, dim: int, fine: bool = False) -> float:
    """Where the mixture of the parts' piecewise linear distribution functions reaches ``q`` in dimension ``dim``."""
    curves = [part.curve(dim, fine) for part in parts]
    places = np.unique(np.concatenate([knots for knots, _ in curves]))
    weights = np.array([p.count for p in parts], dtype=np.float64) / sum(p.count for p in parts)
    # where knots coincide a distribution function jumps, so each place has a height from the left and from the right
    heights = np.zeros((len(places), 2))
    for weight, (knots, ranks) in zip(weights, curves, strict=True):
        right = np.interp(places, knots, ranks)
        left = 1 - np.interp(-places, -knots[::-1], 1 - ranks[::-1])
        heights += weight * np.stack([left, right], axis=1)
    return float(np.interp(q, heights.ravel(), places.repeat(2)))
