"""A turn through half a turn is as smooth in its numbers as it is in space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from la4vla.construction.unwrapped_orientation import unwrapped_orientation

# A hand that points down, swings through half a turn about an axis and back, and rests on the seam with some noise.
ANGLE = np.pi + np.concatenate([0.4 * np.sin(np.linspace(0, 7, 60)), 0.01 * np.random.default_rng(0).normal(size=20)])
AXIS = np.array([0.8, 0.6, 0.0])


@pytest.mark.parametrize("form", ["axis_angle", "euler_xyz", "quaternion_xyzw"])
def test_numbers_follow_the_hand(form):
    if form == "euler_xyz":
        smooth = np.stack([ANGLE, np.full_like(ANGLE, 0.1), np.linspace(-4, 4, len(ANGLE))], axis=1)
        written = (smooth + np.pi) % (2 * np.pi) - np.pi
    elif form == "axis_angle":
        smooth = ANGLE[:, None] * AXIS
        written = Rotation.from_rotvec(smooth).as_rotvec()
    else:
        smooth = np.column_stack([np.sin(ANGLE / 2)[:, None] * AXIS, np.cos(ANGLE / 2)])
        written = np.where((np.arange(len(ANGLE)) % 3 == 1)[:, None], -smooth, smooth)
    assert np.abs(np.diff(written, axis=0)).max() > 1, "the notation jumps"
    found = unwrapped_orientation(written, form)
    np.testing.assert_allclose(np.diff(found, axis=0), np.diff(smooth, axis=0), atol=1e-9)
    assert written.tolist() != found.tolist() and found.shape == smooth.shape


def test_no_turn_at_all_stays_none():
    np.testing.assert_array_equal(unwrapped_orientation(np.zeros((3, 3)), "axis_angle"), np.zeros((3, 3)))
    assert unwrapped_orientation(np.ones((1, 3)), "axis_angle").shape == (1, 3)
