"""When the gripper acts on something, and until when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.grip import Grip
from la4vla.construction.gripper_actions import GripperActions

ACTIONS = GripperActions(min_steps=6, settle_steps=40, settled_speed=0.01, departure_speed=0.5)


def found(episode, actions=ACTIONS):
    grip = Grip.read(episode, close_above=0.05, held_opening=0.08, closing_left=0.1, settle_steps=40)
    return actions.find(episode, grip)


def test_they_last_until_the_fingers_rest(pick):
    assert found(pick) == [(35, pytest.approx(46, abs=1)), (97, pytest.approx(108, abs=1))]
    # A closing goes on until something is held.
    assert found(pick, replace(ACTIONS, settle_steps=7)) == [(35, 45), (97, 104)]


def test_they_end_where_the_hand_departs(pick):
    actions = pick.actions.copy()
    actions[104:] = pick.actions[-1]  # up and away before the fingers are open
    early = replace(pick, actions=actions)
    assert found(early)[1] == (97, 104)
    assert found(early, replace(ACTIONS, departure_speed=2.0))[1][1] > 104


def test_closing_for_less_than_a_grasp_is_none(pick):
    actions = pick.actions.copy()
    actions[:, 3] = -1.0
    opening = pick.proprioception.copy()
    opening[:, 3] = 1.0
    assert found(replace(pick, actions=actions, proprioception=opening)) == []
    actions[40:42, 3] = 1.0  # comes back at once
    assert found(replace(pick, actions=actions, proprioception=np.ascontiguousarray(opening))) == []
