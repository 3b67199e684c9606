"""When a gripper holds: from the fingers' rest after a closing until they begin to open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.grip import Grip
from la4vla.construction.keyframes import runs


def read(episode, **settings):
    defaults = {"close_above": 0.05, "held_opening": 0.08, "closing_left": 0.1, "settle_steps": 40}
    return Grip.read(episode, **{**defaults, **settings})


def test_holding_begins_with_the_fingers_rest_and_ends_with_their_opening(pick):
    grip = read(pick)
    assert runs(grip.closed) == [(35, 97)]
    # fingers go from 1 to 0.5 in ten steps and back
    ((begins, ends),) = runs(grip.holding)
    assert begins == pytest.approx(45, abs=1) and ends == pytest.approx(99, abs=1)
    ((later, _),) = runs(read(pick, closing_left=0.0).holding)
    ((earlier, _),) = runs(read(pick, closing_left=0.5).holding)
    assert earlier < begins <= later


def test_a_gripper_closed_from_the_start_holds_only_what_keeps_it_open(pick):
    actions, numbers = pick.actions[:35].copy(), pick.proprioception[:35].copy()
    actions[:, 3] = 1.0
    numbers[:, 3] = 0.0
    assert not read(replace(pick, actions=actions, proprioception=numbers)).holding.any()
    numbers[:, 3] = 0.4
    assert read(replace(pick, actions=actions, proprioception=numbers)).holding.all()


def test_a_command_of_one_step_is_none(pick):
    actions = pick.actions.copy()
    actions[10, 3] = 1.0
    assert runs(read(replace(pick, actions=actions)).closed) == [(35, 97)]


def test_without_a_gripper_nothing_is_held(pick):
    without = dict.fromkeys(("gripper", "gripper_open", "gripper_closed", "gripper_action"))
    body = replace(pick.embodiment, **without, gripper_action_open=None, gripper_action_closed=None)
    grip = read(replace(pick, embodiment=body))
    assert not grip.closed.any() and not grip.holding.any() and np.all(grip.opening == 0)


def test_one_glitch_of_the_encoder_does_not_end_what_is_held(pick):
    numbers, expected = pick.proprioception.copy(), read(pick)
    numbers[[30, 60, 80], 3] = [0.0, 9.0, -9.0]
    np.testing.assert_array_equal(read(replace(pick, proprioception=numbers)).holding, expected.holding)


def test_before_its_first_command_a_gripper_is_as_it_stands(pick):
    relative = replace(pick.embodiment, gripper_action_keep=0.0)
    actions = pick.actions.copy()
    actions[:, 3] = 0.0
    fist = replace(pick, embodiment=relative, actions=actions)
    assert not read(fist).closed[:35].any() and not read(fist).closed[110:].any()
    numbers = pick.proprioception.copy()
    numbers[:, 3] = 0.0
    assert read(replace(fist, proprioception=numbers)).closed.all()
