"""A control step that computes each moment once ends where the package's own step does."""

from __future__ import annotations

import numpy as np
import pytest

from la4vla.simulators.libero import LiberoEnvironment
from la4vla.simulators.libero_physics import advance

pytestmark = pytest.mark.libero
BUTTER = "pick_up_the_butter_and_place_it_in_the_basket"


@pytest.fixture(scope="module")
def world():
    environment = LiberoEnvironment(BUTTER, None)
    yield environment
    environment.close()


def test_it_ends_where_the_packages_step_does(world):
    """With the hand pressed onto the floor and the fingers closed, so that contacts matter."""
    actions = np.concatenate([np.tile([0, 0, -1, 0, 0, 0.2, -1], (16, 1)), np.tile([0.3, 0, -1, 0, 0, 0, 1], (12, 1))])
    simulator, seen = world._simulator, []
    for step in (advance, lambda simulator, action: simulator.step(action)[2]):
        world.reset(0)
        successes = [step(simulator, action) for action in actions]
        data = simulator.sim.data._data
        seen.append((data.qpos.copy(), data.xpos.copy(), data.time, simulator.timestep, simulator.cur_time))
        assert not any(successes) and data.ncon > 20
    ours, theirs = seen
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)
    assert ours[2:] == theirs[2:]
    assert np.abs(ours[0][:7] - simulator.robots[0].init_qpos).max() > 0.1, "the arm has moved"


def test_the_simulator_can_be_asked_for_the_moment_again_afterwards(world):
    world.reset(0)
    simulator = world._simulator
    with pytest.raises(AssertionError, match="action dimension"):
        advance(simulator, np.zeros(3))
    data = simulator.sim.data._data
    before = data.xpos.copy()
    data.qpos[:3] += 0.2
    simulator.sim.forward()
    assert np.abs(data.xpos - before).max() > 0.01
