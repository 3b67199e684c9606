"""What a normalizer needs to know about one embodiment's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import ViewProfile

FIELDS = ("minimum", "maximum", "mean", "std", "q01", "q99")
# Ranks at which quantiles between the extremes are recorded: enough to tell what share of values a range leaves out.
RANKS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Statistics:
    """Per-dimension statistics of one array, each of shape ``(dim,)`` float64, over ``count`` rows.

    ``quantiles``, ``(len(RANKS), dim)``, are None where they are not recorded, as in published statistics.
    """

    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    q01: np.ndarray
    q99: np.ndarray
    count: int
    quantiles: np.ndarray | None = None

    def curve(self, dim: int, fine: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Knots ``(k,)`` of the distribution function of dimension ``dim``, linear in between, and their ranks.

        Args:
            dim: Which dimension.
            fine: Whether to take the quantiles at all :data:`RANKS` where they are recorded, or 1 % and 99 % alone.
        """
        if fine and self.quantiles is not None:
            between, ranks = self.quantiles[:, dim], RANKS
        else:
            between, ranks = np.array([self.q01[dim], self.q99[dim]]), (0.01, 0.99)
        return np.array([self.minimum[dim], *between, self.maximum[dim]]), np.array([0.0, *ranks, 1.0])

    def share_outside(self, dim: int, low: float, high: float) -> float:
        """About what share of the values of dimension ``dim`` lies below ``low`` or above ``high``, from 0 to 1."""
        knots, ranks = self.curve(dim)
        below = 1 - np.interp(-low, -knots[::-1], 1 - ranks[::-1])
        above = 1 - np.interp(high, knots, ranks)
        return float(np.clip(below + above, 0.0, 1.0))

    def to_json(self) -> dict[str, Any]:
        """These statistics as plain JSON values."""
        known = {} if self.quantiles is None else {"quantiles": self.quantiles.tolist()}
        return {"count": self.count, **{name: getattr(self, name).tolist() for name in FIELDS}, **known}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Statistics:
        """The inverse of :meth:`to_json`."""
        arrays = {name: np.asarray(fields[name], dtype=np.float64) for name in FIELDS}
        quantiles = np.asarray(fields["quantiles"], dtype=np.float64) if "quantiles" in fields else None
        return cls(count=int(fields["count"]), **arrays, quantiles=quantiles)


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
