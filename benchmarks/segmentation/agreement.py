"""Scores of segments against the truth: boundaries found, and shares with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Z = 1.96  # of a two-sided interval of 95 %


def matched(found: Sequence[int], true: Sequence[int], tolerance: float) -> int:
    """How many boundaries can be paired one to one within ``tolerance`` steps; both ascending.

    Going through both in order and pairing whenever two are near enough is optimal on a line.
    """
    i = j = pairs = 0
    while i < len(found) and j < len(true):
        if abs(found[i] - true[j]) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return pairs


def f1(pairs: int, found: int, true: int) -> float:
    """Harmonic mean of precision and recall: ``2 pairs / (found + true)``; 1 where there was nothing to find."""
    return 2 * pairs / (found + true) if found + true else 1.0


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of a share at 95 % (Wilson 1927); 0 to 1 where there is no trial."""
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)
