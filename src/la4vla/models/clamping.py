"""Whether data can be told through other data's statistics, or would be cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from la4vla.models.normalizer import Normalization, affine
from la4vla.schema.statistics import Domain, Statistics

MOST_CLAMPED = 0.05
MARGIN = 0.05  # of the range, by which a clamped value may be moved without a word
TOLD = 0.0005  # smaller shares are not worth a word
Rows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Cut:
    """One dimension that statistics cut.

    Attributes:
        name: ``"action dyaw"``, ``"proprioception hand_x_m"``.
        share: Share of the data's rows outside of the range by more than ``MARGIN`` of it.
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
            f"{self.name} goes from {low:.4g} to {high:.4g} here, and {self.share:.1%} of that lies outside of "
            f"{self.there[0]:.4g} to {self.there[1]:.4g} by more than {MARGIN:.0%} of that range"
        )


def cuts(used: Domain, data: Domain, normalization: Normalization, rows: Rows | None = None) -> list[Cut]:
    """The dimensions of ``data`` that a normalizer with the statistics of ``used`` cuts, the worst first.

    Args:
        used: Whose statistics normalise.
        data: Of the same embodiment.
        normalization: Which statistics are used. ``zscore`` clamps nothing, but a dimension that was constant stays so.
        rows: Proprioception ``(n, S)`` and actions ``(m, A)`` of the data, or a fair sample of them, to count in;
            None estimates them from the statistics of ``data``, as if its values lay evenly between their quantiles.
    """
    body, (felt, done) = data.embodiment, rows or (None, None)
    found = [
        *_cuts("proprioception", body.proprioception, used.proprioception, data.proprioception, normalization, felt),
        *_cuts("action", body.actions, used.actions, data.actions, normalization, done),
    ]
    return sorted(found, key=lambda cut: (not cut.constant, -cut.share))


def unbearable(found: Sequence[Cut], most_clamped: float | None) -> list[Cut]:
    """Those of ``found`` that no training can make up for; None bears every share."""
    return [cut for cut in found if cut.constant or (most_clamped is not None and cut.share > most_clamped)]


def told(found: Sequence[Cut], most: int = 4) -> str:
    """Some of ``found`` as a clause, the worst first."""
    return "; ".join(map(str, found[:most])) + (f"; and {len(found) - most} more" if len(found) > most else "")


def _cuts(
    kind: str,
    names: Sequence[str],
    used: Statistics,
    data: Statistics,
    normalization: Normalization,
    rows: np.ndarray | None,
) -> Iterator[Cut]:
    centre, scale = affine(used, normalization)
    low, high = centre - scale, centre + scale
    slack = 1e-6 * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-2)
    left = (data.minimum < low - slack) | (data.maximum > high + slack)
    least, most = low - 2 * MARGIN * scale - slack, high + 2 * MARGIN * scale + slack
    if rows is None:
        shares = data.share_outside(least, most)
    else:
        shares = ((rows < least) | (rows > most)).mean(axis=0)
    for dim, name in enumerate(names):
        there, here = (float(low[dim]), float(high[dim])), (float(data.minimum[dim]), float(data.maximum[dim]))
        constant = bool(scale[dim] == 0 and left[dim])
        if constant or (normalization != "zscore" and shares[dim] >= TOLD):
            yield Cut(f"{kind} {name}", float(shares[dim]), there, here, constant)
