"""Where things are is told from the hand, and the demonstration stays the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.data.readers.metaworld_grounded import GROUNDED, NEAR_M, GroundedMetaworldExperts
from la4vla.simulators.metaworld import METAWORLD


@pytest.mark.parametrize("task", ["pick-place", "reach"])
def test_objects_and_goal_follow_the_body(task):
    plain = MetaworldExperts(tasks=[task], action_noise=0.1).read((task, 0), False, Counter())
    told = GroundedMetaworldExperts(tasks=[task], action_noise=0.1).read((task, 0), False, Counter())
    np.testing.assert_array_equal(told.actions, plain.actions)
    np.testing.assert_array_equal(told.proprioception[:, :4], plain.proprioception)
    offsets = np.sinh(told.proprioception[:, 4:]) * NEAR_M
    hand = plain.proprioception[:, :3]
    np.testing.assert_allclose(offsets[:, :3], plain.privileged[:, 4:7] - hand, atol=1e-5)
    np.testing.assert_allclose(offsets[:, 6:], plain.privileged[:, 36:39] - hand, atol=1e-5)
    np.testing.assert_array_equal(offsets[:, 3:6], 0)  # neither task has a second object
    assert told.proprioception.shape[1] == len(GROUNDED.proprioception) == 13


def test_the_object_ends_at_the_goal_where_the_task_is_to_place_it():
    told = GroundedMetaworldExperts(tasks=["pick-place"]).read(("pick-place", 1), False, Counter())
    offsets = np.sinh(told.proprioception[:, 4:]) * NEAR_M
    distance = np.linalg.norm(offsets[:, :3] - offsets[:, 6:], axis=1)
    assert distance[0] > 0.1 and distance[-1] < 0.08


def test_it_is_another_body():
    assert GROUNDED != METAWORLD and GROUNDED.actions == METAWORLD.actions
