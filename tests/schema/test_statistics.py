"""What statistics tell of rows that nobody reads again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.schema.statistics import Statistics

ONE = np.ones(1)
EVEN = Statistics(-ONE, ONE, 0 * ONE, ONE / np.sqrt(3), -0.98 * ONE, 0.98 * ONE, count=1000)
STILL = Statistics(ONE, ONE, ONE, 0 * ONE, ONE, ONE, count=10)


@pytest.mark.parametrize(
    ("low", "high", "share"), [(-1.0, 1.0, 0.0), (-0.5, 0.5, 0.5), (2.0, 3.0, 1.0), (-3.0, 0.0, 0.5), (-9.0, 9.0, 0.0)]
)
def test_the_share_outside_of_a_range(low: float, high: float, share: float) -> None:
    assert EVEN.share_outside(low * ONE, high * ONE)[0] == pytest.approx(share)


@pytest.mark.parametrize(("low", "high", "share"), [(1.0, 1.0, 0.0), (0.5, 2.0, 0.0), (0.0, 0.0, 1.0), (2.0, 2.0, 1.0)])
def test_a_constant_lies_inside_or_outside_whole(low: float, high: float, share: float) -> None:
    assert STILL.share_outside(low * ONE, high * ONE)[0] == share


def test_a_dimension_changes_by_its_range_alone() -> None:
    flag = replace(STILL, minimum=0 * ONE, q01=0 * ONE, q99=0 * ONE)
    assert EVEN.changing.all() and flag.changing.all() and not STILL.changing.any()
    assert not replace(STILL, maximum=ONE + 1e-9).changing.any()
    assert not replace(STILL, minimum=np.nan * ONE).changing.any()
