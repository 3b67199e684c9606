"""Seconds are counted at each demonstration's rate, and windows keep enough steps to average."""

from __future__ import annotations

import pytest

from la4vla.construction.durations import check_times, odd_steps_of, steps_of


@pytest.mark.parametrize(
    ("seconds", "hz", "least", "steps"),
    [(0.075, 80.0, 3, 6), (0.15, 20.0, 3, 3), (0.075, 15.0, 3, 3), (0.075, 10.0, 1, 1), (0.5, 15.0, 1, 8)],
)
def test_a_time_is_the_nearest_number_of_steps(seconds, hz, least, steps):
    assert steps_of(seconds, hz, least) == steps


@pytest.mark.parametrize(
    ("seconds", "hz", "least", "steps"),
    [(0.1375, 80.0, 5, 11), (0.25, 20.0, 5, 5), (0.1375, 15.0, 5, 5), (0.0, 15.0, 4, 5), (0.0625, 80.0, 3, 5)],
)
def test_a_window_has_a_middle(seconds, hz, least, steps):
    assert odd_steps_of(seconds, hz, least) == steps


@pytest.mark.parametrize("time", [-0.1, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(time):
    with pytest.raises(ValueError, match="lead_s must be a time in seconds that is not negative, got"):
        check_times(window_s=0.0, lead_s=time)
