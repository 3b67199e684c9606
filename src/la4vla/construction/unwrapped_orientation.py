"""Recorded orientations without the jumps of their notation."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np


def unwrapped_orientation(
    numbers: np.ndarray, form: Literal["axis_angle", "euler_xyz", "quaternion_xyzw"]
) -> np.ndarray:
    """The same orientations, each written in the way that is nearest to the one before.

    A hand that points down has a roll, or a rotation vector, of about half a turn, and recorders write that with either
    sign: the numbers jump by a whole turn while the hand rests. A quaternion and its negative are one orientation, too.

    Args:
        numbers: ``(T, 3)``, or ``(T, 4)`` quaternions, float64; radians.
        form: What they are, as :class:`la4vla.schema.embodiment.Embodiment` has it.

    Returns:
        An array of the same shape; angles may lie beyond half a turn.
    """
    if form == "euler_xyz":
        return np.unwrap(numbers, axis=0)
    if form == "quaternion_xyzw":
        turned = (numbers[1:] * numbers[:-1]).sum(axis=1) < 0
        return numbers * np.where(np.append(False, np.cumsum(turned) % 2 == 1), -1.0, 1.0)[:, None]
    unwrapped = numbers.copy()
    for before, now in pairwise(unwrapped):  # rows, which are changed in place
        angle = np.linalg.norm(now)
        if angle > 0:
            axis = now / angle
            now += 2 * np.pi * np.round((before @ axis - angle) / (2 * np.pi)) * axis
    return unwrapped
