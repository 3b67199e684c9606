"""Short motions are slight, long ones go far, the rest get no word."""

from __future__ import annotations

import pytest

from la4vla.construction.magnitudes import Magnitudes


def test_words_follow_the_thresholds():
    words = Magnitudes(slight_m=0.1, far_m=0.5)
    assert [words.word(length) for length in (0.0, 0.09, 0.1, 0.49, 0.5, 2.0)] == [
        "slightly", "slightly", None, None, "far", "far",
    ]  # fmt: skip


def test_thresholds_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"ascending lengths, got 0\.5 and 0\.1"):
        Magnitudes(0.5, 0.1)
