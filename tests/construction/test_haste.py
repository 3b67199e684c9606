"""Ratings given faster than their clips can be seen."""

from __future__ import annotations

import pytest

from la4vla.construction.haste import haste_lines
from la4vla.construction.rating import Rating


def rating(annotator: str, passes: float | None) -> Rating:
    return Rating(segment="e-0000", annotator=annotator, quality=1, confidence=1, watched_ms=900, passes=passes)


def test_ratings_before_one_pass_are_counted_by_annotator():
    ratings = [rating("ben", None), rating("anna", 0.999), rating("anna", 1.0), rating("ben", 0), rating("anna", 7)]
    assert haste_lines(ratings) == [
        "anna: 3 ratings, 1 of them given in less time than the clip takes to be seen once.",
        "ben: 2 ratings, 1 of them given in less time than the clip takes to be seen once; for 1 the time is not "
        "recorded.",
    ]
    assert haste_lines([]) == []


@pytest.mark.parametrize("passes", [-0.1, float("nan"), float("inf"), True, "1"])
def test_passes_that_are_none_are_refused(passes):
    with pytest.raises(ValueError, match="passes must be a number from 0"):
        rating("anna", passes)
