"""The fixed tables against their formula."""

from __future__ import annotations

import math

import pytest

from la4vla.models.heads.sinusoids import sinusoids


def test_table_is_its_formula() -> None:
    table = sinusoids(1000, 8)
    for position, column in ((0, 0), (0, 1), (3, 2), (999, 5), (500, 7)):
        angle = position / 10000 ** (2 * (column // 2) / 8)
        expected = math.cos(angle) if column % 2 else math.sin(angle)
        assert table[position, column].item() == pytest.approx(expected, abs=2e-5)


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="must be even, got 7"):
        sinusoids(4, 7)
