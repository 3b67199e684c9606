"""LIBERO is deterministic, shows what the published views show, and its expert solves what it should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from la4vla.simulators.libero import LiberoEnvironment, axis_angle
from la4vla.simulators.libero_body import LIBERO, VIEWS
from la4vla.simulators.libero_expert import LiberoExpert
from la4vla.simulators.libero_worlds import LiberoWorlds

pytestmark = pytest.mark.libero
MILK = "pick_up_the_milk_and_place_it_in_the_basket"


@pytest.fixture(scope="module")
def world():
    """One environment for the tests of this file: building one takes seconds."""
    environment = LiberoEnvironment(MILK, VIEWS["libero_64"])
    yield environment
    environment.close()


def play(environment: LiberoEnvironment, seed: int, steps: int = 6, look: bool = False) -> np.ndarray:
    draws = np.random.default_rng(5)
    environment.reset(seed, look=look)
    seen = []
    for _ in range(steps):
        environment.step(draws.uniform(-1, 1, 7), look=look)
        seen.append(environment.privileged)
    return np.stack(seen)


def test_an_episode_depends_on_task_and_seed_alone(world):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = play(world, 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(1)
    other = play(world, 4)
    np.testing.assert_array_equal(play(world, 3, look=True), first)
    assert not np.array_equal(other[0], first[0])


def test_a_fresh_environment_agrees_and_draws_placements_where_it_is_told_to(world):
    fresh = LiberoEnvironment(MILK, None)
    np.testing.assert_array_equal(play(fresh, 3), play(world, 3))
    fresh.close()
    sampled = LiberoEnvironment(MILK, None, placements="sampled")
    first = play(sampled, 123456789)
    play(sampled, 3)
    np.testing.assert_array_equal(play(sampled, 123456789), first)
    milk, official = first[0, 11:13], play(world, 3)[0, 11:13]
    assert 1e-6 < np.abs(milk - official).max() < 0.1
    sampled.close()


def test_proprioception_is_hand_rotation_and_fingers(world):
    observation = world.reset(0, look=False)
    assert observation.proprioception.shape == (len(LIBERO.proprioception),)
    hand, rotation, fingers = np.split(observation.proprioception, [3, 6])
    assert 0.2 < hand[2] < 0.3 and abs(hand[1]) < 0.05
    # the hand points down
    np.testing.assert_allclose(Rotation.from_rotvec(rotation).apply([0, 0, 1]), [0, 0, -1], atol=0.15)
    np.testing.assert_allclose(fingers, [LIBERO.gripper_open, -LIBERO.gripper_open], atol=0.003)
    assert observation.instruction == "pick up the milk and place it in the basket"
    assert observation.embodiment == LIBERO.name


def test_rotation_vectors_do_not_jump_where_the_hand_points_down():
    angles = np.pi + np.array([-0.02, 0.02])
    vectors = [axis_angle(np.array([np.sin(a / 2), 0, 0, np.cos(a / 2)])) for a in angles]
    np.testing.assert_allclose(vectors, [[angles[0], 0, 0], [angles[1], 0, 0]], atol=1e-9)
    np.testing.assert_array_equal(axis_angle(np.array([0.0, 0.0, 0.0, 1.0])), np.zeros(3))


def test_each_action_moves_what_its_name_says(world):
    for channel, axis in (("dx", 0), ("dy", 1), ("dz", 2)):
        before = world.reset(0, look=False).proprioception[:3]
        action = np.zeros(7)
        action[LIBERO.actions.index(channel)] = 3.0
        step = world.step(action, look=False)
        assert step.executed.max() == 1.0
        for _ in range(3):
            step = world.step(action, look=False)
        moved = step.observation.proprioception[:3] - before
        assert moved.argmax() == axis and moved[axis] > 0.02
    effort = np.zeros(7)
    effort[LIBERO.gripper_action] = LIBERO.gripper_action_closed
    for _ in range(12):
        step = world.step(effort, look=False)
    assert step.observation.proprioception[LIBERO.gripper] < 0.01


def test_a_gripper_that_says_openings_is_understood(world):
    world.reset(0, look=False)
    world.gripper = "opening"
    action = np.zeros(7)
    assert [world.step(np.append(action[:6], x), look=False).executed[6] for x in (0.0, 0.4, 0.6, 1.0)] == [
        1,
        1,
        -1,
        -1,
    ]
    world.gripper = "closing"


def test_pictures_are_upright_and_mirrored_as_published_ones_are(world):
    pictures = world.reset(0).images
    assert tuple(pictures) == LIBERO.cameras
    assert all(picture.shape == (64, 64, 3) and picture.dtype == np.uint8 for picture in pictures.values())
    np.testing.assert_array_equal(world.look().images["agentview"], pictures["agentview"])
    red, _, blue = np.moveaxis(pictures["agentview"].astype(int), -1, 0)
    _, columns = np.nonzero(red > 1.6 * blue)
    # The basket stands to the robot's left. The camera faces the robot, so true pictures would show it on the right.
    assert columns.mean() < 28
    dark = pictures["wrist"].mean(axis=(1, 2))
    assert dark[-8:].max() < 90 < dark[16:40].min(), "the palm is at the lower edge of what the wrist sees"


def test_a_moved_camera_is_the_one_in_front(world):
    before = world.reset(0).images
    moved = LiberoWorlds(VIEWS["libero_64"], camera_shifts_m={MILK: (0.0, 0.1, 0.0)})(MILK)
    after = moved.reset(0).images
    moved.close()
    assert np.abs(after["agentview"].astype(int) - before["agentview"]).mean() > 2
    np.testing.assert_array_equal(after["wrist"], before["wrist"])


def test_the_expert_solves_and_the_environment_says_so(world):
    expert, observation = LiberoExpert(), world.reset(7, look=False)
    phases = []
    for _ in range(world.max_steps):
        step = world.step(expert.act(observation.privileged), look=False)
        observation = step.observation
        phases.append(expert.phase)
        if step.done:
            break
    assert step.success and expert.failed_grasps == 0
    assert list(dict.fromkeys(phases)) == ["approach", "descend", "close", "lift", "transport", "lower"]


def test_an_episode_ends_at_the_limit_of_its_suite(world):
    assert world.max_steps == 280
    world.reset(0, look=False)
    world.steps = 278
    assert [world.step(np.zeros(7), look=False).done for _ in range(2)] == [False, True]


def test_what_does_not_exist_is_refused_in_a_sentence(world):
    with pytest.raises(ValueError, match="no task 'milk'"):
        LiberoEnvironment("milk", None)
    with pytest.raises(ValueError, match="no protocol 'evo2'; the protocols are standard, evo1"):
        LiberoEnvironment(MILK, None, protocol="evo2")
    with pytest.raises(ValueError, match="initial states 0 to 49"):
        world.reset(50)
    with pytest.raises(ValueError, match="a thing to pick and a place"):
        LiberoExpert().act(np.zeros(24))
