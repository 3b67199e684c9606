"""Agreement against alphas worked out by hand."""

from __future__ import annotations

import pytest

from la4vla.construction.agreement import Agreement
from la4vla.construction.rating import Rating


def ratings(*units: tuple[int, ...], names: str = "abc") -> list[Rating]:
    return [
        Rating(segment=f"e-{u:04d}", annotator=names[i], quality=score, confidence=score % 3)
        for u, scores in enumerate(units)
        for i, score in enumerate(scores)
    ]


def test_alpha_of_pairs_equals_the_one_by_hand():
    # Observed: 2 (1² + 1²) / 8 = 1/2. Expected: n Σx² − (Σx)² = 8·34 − 14² = 76, twice that over 8·7: 19/7.
    # Alpha = 1 − (1/2) / (19/7) = 31/38. A segment that one person rated, however badly, changes nothing.
    found = Agreement.of(ratings((1, 1), (2, 3), (3, 3), (0, 1), (0,)))
    assert found.alpha == pytest.approx(31 / 38, abs=1e-12)
    assert (found.segments, found.doubly_rated) == (5, 4)


def test_alpha_takes_three_annotators_and_different_pairs():
    # Units (3, 3, 2) and (0, 1): observed (2·(0+1+1)/2 + 2·1/1) / 5 = 4/5. Values 3 3 2 0 1: 5·23 − 9² = 34, twice that
    # over 5·4: 17/5. Alpha = 1 − (4/5) / (17/5) = 13/17.
    found = Agreement.of(ratings((3, 3, 2), (0, 1)))
    assert found.alpha == pytest.approx(13 / 17, abs=1e-12)
    others = [Rating(segment="e-0001", annotator=n, quality=q, confidence=0) for n, q in (("c", 0), ("d", 1))]
    assert Agreement.of([*ratings((3, 3, 2)), *others]).alpha == pytest.approx(13 / 17, abs=1e-12)


def test_alpha_of_perfect_and_of_contrary_annotators():
    assert Agreement.of(ratings((0, 0), (3, 3), (1, 1))).alpha == pytest.approx(1.0)
    # Observed 9; expected (4·18 − 6²)·2 / (4·3) = 6: alpha = 1 − 9/6.
    assert Agreement.of(ratings((0, 3), (3, 0))).alpha == pytest.approx(-0.5)


def test_alpha_is_undefined_without_pairs_or_without_variation():
    assert Agreement.of([]) == Agreement(0, 0, None, None)
    assert Agreement.of(ratings((2,), (3,), (1, 2))).alpha is None
    assert Agreement.of(ratings((2, 2), (2, 2))).alpha is None


def test_confidence_is_averaged_over_all_ratings():
    assert Agreement.of(ratings((1, 1), (2,), (3,))).mean_confidence == pytest.approx((1 + 1 + 2 + 0) / 4)
