"""Narrow things are taken at their sides, wide ones at the rim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from la4vla.simulators.libero_grasps import WIDEST_M, Thing, grasps_of

ACROSS = np.array([0.0, -1.0, 0.0])


def thing(size: tuple[float, float, float], turn: Rotation | None = None) -> Thing:
    half = np.array(size) / 2
    return Thing(np.array([0.1, 0.2, half[2]]), (turn or Rotation.identity()).as_matrix(), np.stack([-half, half]))


def test_a_long_box_is_taken_across_however_it_is_turned():
    for degrees in (0, 30, 80):
        turn = Rotation.from_euler("z", degrees, degrees=True)
        (grasp,) = grasps_of(thing((0.08, 0.04, 0.02), turn), ACROSS)
        assert abs(grasp.across @ turn.apply([0, 1, 0])) == pytest.approx(1)
        assert grasp.across @ ACROSS >= 0
        np.testing.assert_array_equal(grasp.offset, np.zeros(3))


def test_a_thing_on_its_side_is_judged_by_what_is_level_now():
    lying = Rotation.from_euler("x", 90, degrees=True)
    grasps = grasps_of(thing((0.05, 0.2, 0.05), lying), ACROSS)
    assert len(grasps) == 2 and grasps[0].across @ ACROSS == pytest.approx(1)


def test_a_bowl_is_taken_at_its_rim_one_finger_inside():
    bowl = thing((0.11, 0.11, 0.05))
    grasps = grasps_of(bowl, ACROSS)
    for grasp in grasps:
        distance = np.linalg.norm(grasp.offset)
        assert WIDEST_M / 2 < distance < 0.055
        assert abs(grasp.offset @ grasp.across) == pytest.approx(distance)
    np.testing.assert_allclose(grasps[0].offset, -grasps[1].offset)


def test_fingers_stay_off_the_table():
    flat = thing((0.08, 0.04, 0.018))
    (grasp,) = grasps_of(flat, ACROSS)
    assert grasp.height(flat) == pytest.approx(flat.bottom + 0.012)


def test_a_hand_that_points_down_the_right_way_needs_no_turn():
    (grasp,) = grasps_of(thing((0.08, 0.04, 0.02)), ACROSS)
    down = Rotation.from_euler("x", 180, degrees=True)
    np.testing.assert_allclose(grasp.rotation_error(down.as_matrix()), np.zeros(3), atol=1e-9)
    turned = (Rotation.from_euler("z", 20, degrees=True) * down).as_matrix()
    np.testing.assert_allclose(np.degrees(grasp.rotation_error(turned)), [0, 0, -20], atol=1e-6)
