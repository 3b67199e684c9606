"""What a normalizer needs to know about one embodiment's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import ViewProfile

ROUNDING = 1e-6
RANKS = (0.0, 0.01, 0.99, 1.0)  # of minimum, q01, q99 and maximum
FIELDS = ("minimum", "maximum", "mean", "std", "q01", "q99")


@dataclass(frozen=True)
class Statistics:
    """Per-dimension statistics of one array, each of shape ``(dim,)`` float64, over ``count`` rows."""

    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    q01: np.ndarray
    q99: np.ndarray
    count: int

    def to_json(self) -> dict[str, Any]:
        """These statistics as plain JSON values."""
        return {"count": self.count, **{name: getattr(self, name).tolist() for name in FIELDS}}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Statistics:
        """The inverse of :meth:`to_json`."""
        arrays = {name: np.asarray(fields[name], dtype=np.float64) for name in FIELDS}
        return cls(count=int(fields["count"]), **arrays)

    @property
    def changing(self) -> np.ndarray:
        """``(dim,)`` bool: the dimensions known to have more than one value, up to rounding."""
        middle, reach = np.abs(self.minimum + self.maximum) / 2, (self.maximum - self.minimum) / 2
        return np.asarray(reach > ROUNDING * np.maximum(middle, 1e-2))

    def share_outside(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """``(dim,)`` shares of the rows that lie below ``low`` or above ``high``, each ``(dim,)``.

        Estimated from a distribution that is linear between minimum, 1 % and 99 % quantiles and maximum; exactly 0
        where the range lies inside.
        """
        shares = np.zeros(len(self.mean))
        for dim in range(len(shares)):
            below, above = (_height(self, dim, low[dim], "left"), _height(self, dim, high[dim], "right"))
            shares[dim] = below + 1 - above
        return shares


@dataclass(frozen=True)
class Domain:
    """A body seen through a camera: everything about data that a policy carries in its checkpoint.

    Args:
        embodiment: Whose numbers these are.
        view: How its images were made, or None where no data with images has been seen.
        proprioception: Statistics over ``S`` dimensions.
        actions: Statistics over ``A`` dimensions.
    """

    embodiment: Embodiment
    view: ViewProfile | None
    proprioception: Statistics
    actions: Statistics

    def to_json(self) -> dict[str, Any]:
        """This domain as plain JSON values."""
        return {
            "embodiment": self.embodiment.to_json(),
            "view": self.view.to_json() if self.view else None,
            "proprioception": self.proprioception.to_json(),
            "actions": self.actions.to_json(),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Domain:
        """The inverse of :meth:`to_json`."""
        return cls(
            embodiment=Embodiment.from_json(fields["embodiment"]),
            view=ViewProfile.from_json(fields["view"]) if fields["view"] else None,
            proprioception=Statistics.from_json(fields["proprioception"]),
            actions=Statistics.from_json(fields["actions"]),
        )


def merge_statistics(parts: Sequence[Statistics]) -> Statistics:
    """The statistics of several sets together, from their statistics alone.

    Count, range, mean and standard deviation are exact. The quantiles are those of the mixture of the parts'
    distribution functions, each taken as linear between its minimum, 1 % and 99 % quantiles and maximum; so they are
    exact where the parts are alike, as an LA set and its VLA twin are.
    """
    moments = [(part.count, part.mean, np.square(part.std) * part.count) for part in parts]
    count, mean, m2 = combined_moments(*(np.asarray(part) for part in zip(*moments, strict=True)))
    low, high = (np.array([_quantile(parts, q, d) for d in range(len(mean))]) for q in (0.01, 0.99))
    minimum = np.min([part.minimum for part in parts], axis=0)
    maximum = np.max([part.maximum for part in parts], axis=0)
    return Statistics(minimum, maximum, mean, np.sqrt(m2 / count), low, high, count)


def combined_moments(counts: np.ndarray, means: np.ndarray, m2s: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Count, mean and M2 of the union of parts, ``M2 = sum(M2_i) + sum(n_i (mean_i - mean)^2)``."""
    weights = counts.astype(np.float64)[:, None]
    mean = (weights * means).sum(axis=0) / weights.sum()
    return int(counts.sum()), mean, m2s.sum(axis=0) + (weights * np.square(means - mean)).sum(axis=0)


def _quantile(parts: Sequence[Statistics], q: float, dim: int) -> float:
    """Where the mixture of the parts' piecewise linear distribution functions reaches ``q`` in dimension ``dim``."""
    knots = [_knots(part, dim) for part in parts]
    places = np.unique(np.concatenate(knots))
    weights = np.array([p.count for p in parts], dtype=np.float64) / sum(p.count for p in parts)
    # where knots coincide a distribution function jumps, so each place has a height from the left and from the right
    heights = np.zeros((len(places), 2))
    for weight, knot in zip(weights, knots, strict=True):
        right = np.interp(places, knot, RANKS)
        left = 1 - np.interp(-places, -knot[::-1], RANKS)
        heights += weight * np.stack([left, right], axis=1)
    return float(np.interp(q, heights.ravel(), places.repeat(2)))


def _height(statistics: Statistics, dim: int, value: float, side: Literal["left", "right"]) -> float:
    """Share of the rows below ``value`` (left), or at most ``value`` (right)."""
    knots = _knots(statistics, dim)
    if side == "right":
        return float(np.interp(value, knots, RANKS, left=0.0)) if value < knots[-1] else 1.0
    return float(1 - np.interp(-value, -knots[::-1], RANKS)) if value > knots[0] else 0.0


def _knots(statistics: Statistics, dim: int) -> np.ndarray:
    rows = (statistics.minimum, statistics.q01, statistics.q99, statistics.maximum)
    return np.array([row[dim] for row in rows])
