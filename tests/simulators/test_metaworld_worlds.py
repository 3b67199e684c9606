"""Protocols: prompts, cameras, and the official client's placements."""

import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from la4vla.simulators.metaworld import VIEWS, MetaworldEnvironment
from la4vla.simulators.metaworld_official import OfficialEnvironment, goal_indices
from la4vla.simulators.metaworld_tasks import LEROBOT_INSTRUCTIONS, SCENES, TASKS, scene_mates
from la4vla.simulators.metaworld_worlds import CORNER2_M, MetaworldWorlds


def test_the_official_client_repeats_two_of_ten_goals():
    assert goal_indices(10) == [40, 4, 18, 23, 1, 9, 44, 33, 4, 1]
    assert len(set(goal_indices(10))) == 8


@pytest.fixture(scope="module")
def first_goals():
    """Goals of the package's first task, which do not wait for those of the others."""
    from metaworld import _MT_OVERRIDE, _make_tasks
    from metaworld.env_dict import MT50_V3, MT50_V3_ARGS_KWARGS

    name = next(iter(MT50_V3_ARGS_KWARGS))
    assert name == "assembly-v3"
    tasks = _make_tasks({name: MT50_V3[name]}, {name: MT50_V3_ARGS_KWARGS[name]}, _MT_OVERRIDE, seed=4042)
    return [tasks[index] for index in goal_indices(10)]


def test_an_official_episode_is_the_one_of_the_package(first_goals):
    import pickle

    vectors = [tuple(pickle.loads(task.data)["rand_vec"].tolist()) for task in first_goals]
    np.testing.assert_allclose(vectors[0], [0.0, 0.6, 0.02, -0.06568514513979834, 0.7798657809760476, 0.1])
    assert len(set(vectors)) == 8
    worlds = MetaworldWorlds(None, 400, goals={"assembly": tuple(vectors)})
    ours = worlds("assembly")
    assert isinstance(ours, OfficialEnvironment)
    theirs = ALL_V3_ENVIRONMENTS["assembly-v3"]()
    for episode in (3, 8):
        theirs.set_task(first_goals[episode])
        theirs.reset()
        expected, *_ = theirs.step(np.zeros(4, dtype=np.float32))
        ours.reset(episode, look=False)
        np.testing.assert_allclose(ours.privileged, expected, atol=1e-6)
        expected, *_ = theirs.step(np.full(4, 0.5, dtype=np.float32))
        assert not ours.step(np.full(4, 0.5), look=False).done
        np.testing.assert_allclose(ours.privileged, expected, atol=1e-6)
    with pytest.raises(LookupError, match=r"numbered 0\.\.9 here, there is no 10"):
        ours.reset(10)


def test_prompts_of_lerobot_differ_in_one_task():
    worlds = MetaworldWorlds(None, 400, instructions=LEROBOT_INSTRUCTIONS)
    assert worlds("push-back").reset(1, look=False).instruction == "Push the puck to a goal"
    assert worlds("push").reset(1, look=False).instruction == TASKS["push"].instruction
    assert MetaworldEnvironment("push-back", None).task.instruction == "Push the puck back to a goal"


def test_a_moved_camera_is_moved_and_nothing_else():
    still = MetaworldWorlds(VIEWS["evo1_64"], 400)("reach")
    same = MetaworldWorlds(VIEWS["evo1_64"], 400, camera_shifts_m={"reach": (0.0, 0.0, 0.0)})("reach")
    moved = MetaworldWorlds(VIEWS["evo1_64"], 400, camera_shifts_m={"reach": (0.05, 0.0, 0.0)})("reach")
    np.testing.assert_allclose(still._simulator.model.camera("corner2").pos, CORNER2_M)
    images = [world.reset(5).images["corner2"].astype(int) for world in (still, same, moved)]
    np.testing.assert_array_equal(images[0], images[1])
    assert np.abs(images[2] - images[0]).mean() > 2
    assert moved.look().view == "evo1_64"
    np.testing.assert_array_equal(moved.privileged, still.privileged)
    for world in (still, same, moved):
        world.close()


def test_tasks_that_share_a_scene_share_its_model():
    assert scene_mates("drawer-open") == ("drawer-close",)
    assert scene_mates("hammer") == ()
    for scene in SCENES:
        models = {ALL_V3_ENVIRONMENTS[f"{task}-v3"].model_name.fget(None) for task in scene}
        assert len(models) == 1, scene
    names = [task for scene in SCENES for task in scene]
    assert len(names) == len(set(names))
