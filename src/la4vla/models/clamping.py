"""Whether data can be told through other data's statistics, or would be cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from la4vla.models.normalizer import Normalization, affine
from la4vla.schema.statistics import Domain, Statistics

MOST_CLAMPED = 0.05
TOLD = 0.0005  # smaller shares are not worth a word


@dataclass(frozen=True)
class Cut:
    """One dimension that statistics cut.

    Attributes:
        name: ``"action dyaw"``, ``"proprioception hand_x_m"``.
        share: Share of the data's rows outside of the range, estimated from their quantiles.
        there: The range that the statistics map to [-1, 1].
        here: The data's range.
        constant: Whether the statistics know one value only, so that this dimension always comes out as that.
    """

    name: str
    share: float
    there: tuple[float, float]
    here: tuple[float, float]
    constant: bool

    def __str__(self) -> str:
        low, high = self.here
        if self.constant:
            return f"{self.name} was always {self.there[0]:.4g} there and goes from {low:.4g} to {high:.4g} here"
        return (
            f"{self.name} goes from {low:.4g} to {high:.4g} here, of which {self.share:.1%} lie outside of "
            f"{self.there[0]:.4g} to {self.there[1]:.4g}"
        )


def cuts(used: Domain, data: Domain, normalization: Normalization) -> list[Cut]:
    """The dimensions of ``data`` that a normalizer with the statistics of ``used`` cuts, the worst first.

    Args:
        used: Whose statistics normalise.
        data: Of the same embodiment.
        normalization: Which statistics are used. ``zscore`` clamps nothing, but a dimension that was constant stays so.
    """
    body = data.embodiment
    found = [
        *_cuts("proprioception", body.proprioception, used.proprioception, data.proprioception, normalization),
        *_cuts("action", body.actions, used.actions, data.actions, normalization),
    ]
    return sorted(found, key=lambda cut: (not cut.constant, -cut.share))


def unbearable(found: Sequence[Cut], most_clamped: float) -> list[Cut]:
    """Those of ``found`` that no training can make up for."""
    return [cut for cut in found if cut.constant or cut.share > most_clamped]


def told(found: Sequence[Cut], most: int = 4) -> str:
    """Some of ``found`` as a clause, the worst first."""
    return "; ".join(map(str, found[:most])) + (f"; and {len(found) - most} more" if len(found) > most else "")


def _cuts(
    kind: str, names: Sequence[str], used: Statistics, data: Statistics, normalization: Normalization
) -> Iterator[Cut]:
    centre, scale = affine(used, normalization)
    low, high = centre - scale, centre + scale
    slack = 1e-6 * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-2)
    shares = data.share_outside(low - slack, high + slack)
    for dim, name in enumerate(names):
        there, here = (float(low[dim]), float(high[dim])), (float(data.minimum[dim]), float(data.maximum[dim]))
        constant = bool(scale[dim] == 0) and bool(shares[dim] > 0)
        if constant or (normalization != "zscore" and shares[dim] >= TOLD):
            yield Cut(f"{kind} {name}", float(shares[dim]), there, here, constant)
