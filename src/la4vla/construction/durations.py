"""Times as numbers of steps: a length is stated in seconds and counted at the rate of each demonstration."""

from __future__ import annotations

import math


def steps_of(seconds: float, control_hz: float, least: int = 1) -> int:
    """The number of steps nearest to ``seconds`` at ``control_hz``, but at least ``least``: fewer say nothing."""
    return max(least, math.floor(seconds * control_hz + 0.5))


def odd_steps_of(seconds: float, control_hz: float, least: int = 1) -> int:
    """The odd number of steps nearest to ``seconds``, at least ``least``: a window with a middle."""
    return max(least + (least % 2 == 0), 2 * math.floor(seconds * control_hz / 2) + 1)


def check_times(**seconds: float) -> None:
    """Refuse times that are negative or no numbers.

    Raises:
        ValueError: Naming the first one.
    """
    for name, value in seconds.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a time in seconds that is not negative, got {value:g}.")
