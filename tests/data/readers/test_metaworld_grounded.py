"""What things are where is told in pictures' numbers, and the demonstration stays the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.data.readers.metaworld_grounded import GROUNDED, GroundedMetaworldExperts
from la4vla.simulators.metaworld import METAWORLD


@pytest.mark.parametrize("task", ["pick-place", "reach"])
def test_objects_and_goal_follow_the_body(task):
    plain = MetaworldExperts(tasks=[task], action_noise=0.1).read((task, 0), False, Counter())
    told = GroundedMetaworldExperts(tasks=[task], action_noise=0.1).read((task, 0), False, Counter())
    np.testing.assert_array_equal(told.actions, plain.actions)
    np.testing.assert_array_equal(told.proprioception[:, :4], plain.proprioception)
    np.testing.assert_allclose(told.proprioception[:, 4:7], plain.privileged[:, 4:7], atol=1e-6)
    np.testing.assert_allclose(told.proprioception[:, 10:], plain.privileged[:, 36:39], atol=1e-6)
    assert told.proprioception.shape[1] == len(GROUNDED.proprioception) == 13


def test_the_object_ends_at_the_goal_where_the_task_is_to_place_it():
    told = GroundedMetaworldExperts(tasks=["pick-place"]).read(("pick-place", 1), False, Counter())
    distance = np.linalg.norm(told.proprioception[:, 4:7] - told.proprioception[:, 10:], axis=1)
    assert distance[0] > 0.1 and distance[-1] < 0.08


def test_it_is_another_body():
    assert GROUNDED != METAWORLD and GROUNDED.actions == METAWORLD.actions
