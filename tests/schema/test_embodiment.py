"""A body states its facts or leaves them open; what cannot be true is refused, and so is whoever needs an open one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from la4vla.data.readers.droid import DROID
from la4vla.schema.embodiment import Embodiment

JOINTS = Embodiment("joints", ("shoulder_deg", "elbow_deg", "jaw"), ("shoulder_deg", "elbow_deg", "jaw"), (), 30.0)


def test_a_body_reads_back_as_written():
    back = Embodiment.from_json(json.loads(json.dumps(DROID.to_json())))
    assert back == DROID and hash(back) == hash(DROID) and back.orientation == (3, 4, 5)
    assert Embodiment.from_json(json.loads(json.dumps(JOINTS.to_json()))) == JOINTS


def test_what_is_not_stated_is_not_known():
    stated = {k: v for k, v in JOINTS.to_json().items() if v is not None}
    assert set(stated) == {"name", "proprioception", "actions", "cameras", "control_hz"}


@pytest.mark.parametrize(
    "other",
    [{"action_form": "absolute"}, {"orientation": None, "orientation_form": None}, {"gripper_action_keep": 0.5}],
)
def test_bodies_whose_numbers_mean_something_else_are_not_equal(other):
    assert replace(DROID, **other) != DROID


def test_what_is_needed_and_not_recorded_is_named_with_where_to_state_it():
    with pytest.raises(ValueError, match=r"Gauging needs .* joints does not record: state position \(the three .* up"):
        JOINTS.require("Gauging", "position", "up")
    with pytest.raises(ValueError, match="forward"):
        JOINTS.direction("upward")
    DROID.require("Gauging", "position", "up", "action_form")


def test_a_gripper_is_read_between_its_ends():
    body = replace(DROID, gripper_open=0.0, gripper_closed=0.8, gripper_action_open=2.0, gripper_action_closed=1.0)
    numbers = np.tile(np.array([[0.0], [0.4], [0.8]], dtype=np.float32), (1, 7))
    np.testing.assert_allclose(body.opening_of(numbers), [1.0, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(body.closing_of(np.tile([[2.0], [1.5], [1.0]], (1, 7))), [-1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"name": ""}, "its name is empty"),
        ({"actions": ()}, "it has no actions"),
        ({"cameras": ("eye", "")}, "a name in cameras is empty"),
        ({"proprioception": ("x_m",) * 7}, "proprioception has more than one 'x_m'"),
        ({"control_hz": 0.0}, "control_hz must be above 0, got 0"),
        ({"control_hz": float("nan")}, "control_hz must be above 0, got nan"),
        ({"position": (0, 1, 7)}, "position names dimension 7, and proprioception has 7, counted from 0"),
        ({"translation": (0, 1, -1)}, "translation names dimension -1"),
        ({"translation": (0, 1, 1)}, "dimension 1 of actions is named twice, in translation and in translation"),
        ({"gripper": 2}, "dimension 2 of proprioception is named twice, in position and in gripper"),
        ({"position": (0, 1)}, "three dimensions are needed"),
        ({"gripper_open": 0.3, "gripper_closed": 0.3}, "both 0.3, so that nothing tells open from closed"),
        ({"gripper_closed": None}, "gripper_open is stated without gripper_closed"),
        ({"gripper_action_open": None}, "gripper_action_closed is stated without gripper_action_open"),
        ({"gripper_action_open": float("inf")}, "must be finite"),
        ({"gripper": None}, "gripper_open is stated without gripper"),
        ({"gripper_action_keep": 1.0}, "neither the command that opens nor closes"),
        ({"orientation_form": None}, "orientation is stated without orientation_form"),
        ({"orientation_form": "quaternion_xyzw"}, "orientation names 3 dimensions, and quaternion_xyzw has 4"),
        ({"orientation_form": "euler"}, "must be one of axis_angle"),
        ({"up": None}, "forward, left is stated without up"),
        ({"up": (0, 0, 2)}, "must be unit vectors at right angles"),
        ({"left": (0.6, 0.8, 0)}, "must be unit vectors at right angles"),
        ({"left": (0, -1, 0)}, "are left-handed"),
    ],
)
def test_what_cannot_be_true_is_refused(facts, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(DROID, **facts)
