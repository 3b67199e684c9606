"""How far annotators agree: Krippendorff's alpha of the quality scores (LA4VLA, section 7.6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from la4vla.construction.rating import Rating

try:
    import krippendorff
except ImportError as error:
    raise ImportError("Agreement of annotators needs one more package: pip install la4vla[verify].") from error


@dataclass(frozen=True)
class Agreement:
    """What a set of ratings comes to.

    Args:
        segments: Segments with a rating.
        doubly_rated: Segments that two or more annotators rated.
        alpha: Krippendorff's alpha over those, quality scores on an interval scale; None where fewer than two are
            doubly rated, or all their scores are equal, which leaves it undefined (0 / 0).
        mean_confidence: Mean over all ratings, or None without any.
    """

    segments: int
    doubly_rated: int
    alpha: float | None
    mean_confidence: float | None

    @classmethod
    def of(cls, ratings: Iterable[Rating]) -> Agreement:
        """The agreement of ``ratings``, at most one for each annotator and segment."""
        by_segment: dict[str, dict[str, int]] = defaultdict(dict)
        confidences: list[int] = []
        for rating in ratings:
            by_segment[rating.segment][rating.annotator] = rating.quality
            confidences.append(rating.confidence)
        doubly = {segment: scores for segment, scores in by_segment.items() if len(scores) > 1}
        return cls(
            segments=len(by_segment),
            doubly_rated=len(doubly),
            alpha=_interval_alpha(list(doubly.values())),
            mean_confidence=fmean(confidences) if confidences else None,
        )


def _interval_alpha(units: list[dict[str, int]]) -> float | None:
    """Alpha = 1 - D_o / D_e, with squared differences of scores observed inside units, and expected over all pairs."""
    if len(units) < 2 or len({score for scores in units for score in scores.values()}) < 2:
        return None
    annotators = {name: row for row, name in enumerate(sorted({name for scores in units for name in scores}))}
    table = np.full((len(annotators), len(units)), np.nan)
    for column, scores in enumerate(units):
        for name, score in scores.items():
            table[annotators[name], column] = score
    return float(krippendorff.alpha(reliability_data=table, level_of_measurement="interval"))
