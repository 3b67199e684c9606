"""The simulator is deterministic, its views are upright and its two splits never meet."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from la4vla.schema.observation import Observation
from la4vla.schema.view import Shot, ViewProfile
from la4vla.simulators.metaworld import VIEWS, MetaworldEnvironment, MetaworldExpert
from la4vla.simulators.metaworld_tasks import HELD_OUT, SELECTIONS, TASKS, placement_seed


def play(environment: MetaworldEnvironment, seed: int, steps: int) -> np.ndarray:
    expert = MetaworldExpert(environment.task.name)
    seen = [environment.reset(seed, look=False)]
    for _ in range(steps):
        seen.append(environment.step(expert.act(seen[-1].privileged), look=False).observation)
    return np.stack([o.privileged for o in seen])


def test_tasks_are_those_of_the_package():
    assert {f"{name}-v3" for name in TASKS} == set(ALL_V3_ENVIRONMENTS)
    groups = [task.group for task in TASKS.values()]
    assert [groups.count(g) for g in ("easy", "medium", "hard", "very_hard")] == [28, 11, 6, 5]


def test_held_out_tasks_are_one_in_five_of_each_group():
    groups = [TASKS[task].group for task in HELD_OUT]
    assert [groups.count(g) for g in ("easy", "medium", "hard", "very_hard")] == [6, 2, 1, 1]
    assert set(SELECTIONS["pretraining"]) == set(TASKS) - set(HELD_OUT)


@pytest.mark.parametrize("task", ["drawer-open", "pick-place", "assembly"])
def test_an_episode_depends_on_task_and_seed_alone(task):
    used, fresh = MetaworldEnvironment(task, None), MetaworldEnvironment(task, None)
    np.random.seed(0)
    first = play(used, 6, 20)
    play(used, 8, 30)
    np.random.seed(1)
    np.testing.assert_array_equal(play(used, 6, 20), first)
    np.testing.assert_array_equal(play(fresh, 6, 20), first)
    assert not np.array_equal(play(fresh, 8, 0)[0], first[0])


def is_sane(first: Observation) -> bool:
    """Whether a first observation shows an open gripper above the table, a goal, and no motion yet."""
    now, before, goal = first.privileged[:18], first.privileged[18:36], first.privileged[36:]
    height, opening = first.proprioception[2:]
    return bool(opening > 0.95 and 0.1 < height < 0.5 and goal.any() and np.allclose(now, before))


def test_no_demonstration_placement_is_an_evaluation_placement_and_all_begin_sanely():
    for task in TASKS:
        environment = MetaworldEnvironment(task, None)
        placements = {}
        for split in ("demonstration", "evaluation"):
            seeds = [placement_seed(split, task, index) for index in range(2)]
            first = [environment.reset(seed) for seed in seeds]
            observed = [o.privileged for o in first]
            assert all(is_sane(o) for o in first), task
            placements[split] = {tuple(np.append(o[4:18], o[36:])) for o in observed}
        assert not placements["demonstration"] & placements["evaluation"], task
        assert len(placements["evaluation"]) == 2, task


def test_seeds_of_the_splits_cannot_meet():
    seeds = {
        split: {placement_seed(split, task, i) for task in TASKS for i in range(200)}
        for split in ("demonstration", "evaluation")
    }
    assert not seeds["demonstration"] & seeds["evaluation"]
    assert placement_seed("evaluation", "reach", 3) != placement_seed("evaluation", "reach", 3, attempt=1)


def test_the_expert_solves_and_the_environment_says_so():
    environment = MetaworldEnvironment("drawer-open", None)
    expert, observation = MetaworldExpert("drawer-open"), environment.reset(2)
    for _ in range(200):
        step = environment.step(expert.act(observation.privileged), look=False)
        observation = step.observation
        assert not observation.images
        if step.done:
            break
    assert step.success


def test_actions_are_clipped_and_episodes_end():
    environment = MetaworldEnvironment("reach", None, max_steps=2)
    environment.reset(1)
    first = environment.step(np.array([5.0, -5.0, 0.5, 0.0]))
    np.testing.assert_array_equal(first.executed, np.float32([1.0, -1.0, 0.5, 0.0]))
    assert not first.done
    assert environment.step(np.zeros(4)).done


@pytest.mark.parametrize("name", list(VIEWS))
def test_views_are_upright_and_deterministic(name):
    view = VIEWS[name]
    environment = MetaworldEnvironment("reach", view)
    image = environment.reset(1).images["corner2"]
    assert image.shape == (view.size_px, view.size_px, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(environment.look().images["corner2"], image)
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    arm = (red > 60) & (red > 2 * green) & (red > 2 * blue)
    rows, columns = np.nonzero(arm)
    # The robot stands at the left edge of the picture; its base is below its shoulder, where the view shows it.
    assert arm.mean() > 0.01
    assert columns.mean() < view.size_px / 2
    if view.shots[0].crop > 0.5:
        lowest = columns[rows > np.quantile(rows, 0.9)].mean()
        assert lowest < columns.mean(), "the base is at the lower left"
    else:
        assert rows.mean() < view.size_px / 2, "the arm reaches in from above"
    environment.close()


def test_the_hand_sees_what_lies_below_it():
    environment = MetaworldEnvironment("reach", VIEWS["tabletop_hand_64"])
    images = environment.reset(1).images
    assert list(images) == ["corner2", "gripperPOV"] == list(environment.embodiment.cameras)
    before = images["gripperPOV"].astype(int)
    red, green, blue = np.moveaxis(before[:, :32], -1, 0)
    assert ((green > 2 * red) & (blue > 2 * red)).any(), "the turquoise finger reaches in from the left"
    for _ in range(20):
        hand = environment.step(np.array([0.0, 0.0, -1.0, 0.0]), look=False)
    np.testing.assert_array_equal(hand.observation.images, {})
    assert np.abs(environment.look().images["gripperPOV"].astype(int) - before).mean() > 3, "the table comes closer"
    environment.close()


def test_the_small_view_shows_what_the_published_one_shows():
    from PIL import Image

    images = {}
    for name in ("evo1", "evo1_64"):
        environment = MetaworldEnvironment("drawer-open", VIEWS[name])
        images[name] = environment.reset(4).images["corner2"]
        environment.close()
    small = np.asarray(Image.fromarray(images["evo1"]).resize((64, 64), Image.Resampling.BOX)).astype(float)
    # Shadows and anti-aliasing differ; what stands where does not.
    assert np.abs(small - images["evo1_64"]).mean() < 12


def test_a_crop_renders_the_same_pixels_as_the_whole_picture():
    whole = ViewProfile("whole", (Shot("corner2", 96, rotate_deg=180),), 96, shadows=False, multisampling=0)
    images = []
    for view in (whole, VIEWS["evo1_64"]):
        environment = MetaworldEnvironment("drawer-open", view)
        images.append(environment.reset(4).images["corner2"].astype(int))
        environment.close()
    assert np.abs(images[0][16:80, 16:80] - images[1]).max() <= 2


def test_two_environments_can_render_in_turn_and_one_may_close():
    first, second = (MetaworldEnvironment(task, VIEWS["evo1_64"]) for task in ("reach", "drawer-open"))
    before = first.reset(1).images["corner2"], second.reset(1).images["corner2"]
    np.testing.assert_array_equal(first.look().images["corner2"], before[0])
    first.close()
    np.testing.assert_array_equal(second.look().images["corner2"], before[1])
    second.close()


def test_unknown_tasks_and_limits_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="no task 'drawer'"):
        MetaworldEnvironment("drawer", None)
    with pytest.raises(ValueError, match=r"1\.\.500"):
        MetaworldEnvironment("reach", None, max_steps=501)


def test_without_off_screen_gl_the_sentence_says_what_to_install():
    script = "import sys; sys.modules['OpenGL.osmesa'] = None; import la4vla.simulators.metaworld"
    environment = {**os.environ, "MUJOCO_GL": "osmesa"}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert "apt-get install libosmesa6" in result.stderr.splitlines()[-1]
