"""Turns are told by axis, sense and where they end; a turn that accompanies a motion is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from la4vla.construction.rotations import RotationDetector

DOWN = Rotation.from_euler("xyz", [np.pi, 0.0, 0.0])


def found(episode, **settings):
    return RotationDetector(**settings).find(episode, np.ones(len(episode), bool))


@pytest.mark.parametrize("form", ["axis_angle", "euler_xyz", "quaternion_xyzw"])
@pytest.mark.parametrize(("radians", "word"), [(1.0, "clockwise"), (-1.0, "counterclockwise")])
def test_a_turn_about_the_tool_axis(turning, tiny_arm, form, radians, word):
    (turn,) = found(turning(tiny_arm, [0.0, 0.0, radians], form=form))
    assert turn[2:] == (True, word)
    assert turn.start == pytest.approx(10, abs=4) and turn.stop == pytest.approx(40, abs=4)


def test_clockwise_is_as_seen_from_the_arm(turning, tiny_arm):
    # A hand that points down and turns clockwise, seen from above, brings its x-axis from forward to the right.
    episode = turning(tiny_arm, [0.0, 0.0, np.pi / 2])
    last = Rotation.from_rotvec(episode.proprioception[-1, 3:6]).as_matrix()
    assert last[:, 0] @ tiny_arm.direction("right") > 0.99
    assert found(episode)[0].word == "clockwise"


def test_turns_about_other_axes_are_told_by_where_they_end(turning, tiny_arm):
    (turn,) = found(turning(tiny_arm, [0.0, np.pi / 2, 0.0]))
    assert turn[2:] == (False, "horizontal")
    level = DOWN * Rotation.from_rotvec([0.0, np.pi / 2, 0.0])
    (turn,) = found(turning(tiny_arm, [0.0, -np.pi / 2, 0.0], first=level))
    assert turn[2:] == (False, "vertical")
    (turn,) = found(turning(tiny_arm, [0.0, 0.8, 0.0]))
    assert turn[2:] in ((False, "forward"), (False, "backward"))
    tipped = DOWN * Rotation.from_rotvec([0.0, 0.8, 0.0])
    assert (tipped.as_matrix() - DOWN.as_matrix())[:, 2] @ tiny_arm.direction(turn.word) > 0


def test_a_turn_on_the_way_is_the_motion_s(turning, tiny_arm):
    # 1 rad over 30 steps is 3.3 mm a step at a lever of 10 cm.
    assert found(turning(tiny_arm, [0.0, 0.0, 1.0], speed=0.01)) == []
    assert len(found(turning(tiny_arm, [0.0, 0.0, 1.0], speed=0.001))) == 1
    assert len(found(turning(tiny_arm, [0.0, 0.0, 1.0], speed=0.01), lever_m=1.0)) == 1


def test_small_turns_occupied_steps_and_bodies_without_orientation_have_none(turning, tiny_arm):
    episode = turning(tiny_arm, [0.0, 0.0, 0.3])
    assert found(episode) == []
    assert len(found(episode, min_deg=10.0)) == 1
    episode = turning(tiny_arm, [0.0, 0.0, 1.0])
    assert RotationDetector().find(episode, np.zeros(len(episode), bool)) == []
    unknown = replace(episode.embodiment, orientation=None, orientation_form=None)
    assert found(replace(episode, embodiment=unknown)) == []


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="axis_share"):
        RotationDetector(axis_share=0.0)
    with pytest.raises(ValueError, match="window_s must be a time in seconds"):
        RotationDetector(window_s=-1.0)
