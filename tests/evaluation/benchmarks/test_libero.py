"""LIBERO through the very same runner."""

from __future__ import annotations

import numpy as np
import pytest

from la4vla.evaluation.benchmarks.libero import LiberoBenchmark, ScriptedLiberoAgent
from la4vla.rollout.agent import Slot
from la4vla.schema.observation import ActionChunk, Observation
from la4vla.simulators.libero_tasks import SELECTIONS, TASKS

MILK = "pick_up_the_milk_and_place_it_in_the_basket"


def benchmark(**options):
    return LiberoBenchmark(**{"view": None, "processes": 0, "progress": False, **options})


@pytest.mark.libero
def test_the_expert_solves_from_an_official_state():
    result = benchmark(tasks=MILK, episodes=1, first_placement=9).run_agent(ScriptedLiberoAgent(), "expert")
    (outcome,) = result.outcomes
    assert outcome.success and outcome.group == "object" and outcome.seed == 9
    assert result.video_fps == 10


class Stirrer:
    """Goes nowhere in particular, and keeps what it saw."""

    def __init__(self):
        self.seen = []

    def act(self, observations, draws=None):
        self.seen += observations
        return [
            ActionChunk(np.random.default_rng(draw).uniform(-1, 1, (6, 7)).astype(np.float32), "libero")
            for draw in draws
        ]


@pytest.mark.libero
def test_a_policy_sees_both_views_and_is_filmed():
    policy = Stirrer()
    run = benchmark(tasks=MILK, episodes=1, view="libero_64", max_steps=7, replan_every=5, videos=1, film_every=4)
    (trajectory,) = run.run(policy, "stirrer").trajectories
    assert trajectory.steps == 7 and not trajectory.success
    assert len(policy.seen) == 2
    assert {observation.view for observation in policy.seen} == {"libero_64"}
    assert all(tuple(observation.images) == ("agentview", "wrist") for observation in policy.seen)
    assert trajectory.frame_steps == [0, 4, 7] and trajectory.frames[0].shape == (64, 128, 3)


@pytest.mark.libero
def test_the_number_of_workers_changes_nothing():
    tasks, seen = [MILK, SELECTIONS["spatial"][2]], []
    for processes in (1, 2):
        run = benchmark(tasks=tasks, episodes=2, max_steps=12, replan_every=5, processes=processes, environments=4)
        seen.append(run.run(Stirrer(), "stirrer").trajectories)
    for one, other in zip(*seen, strict=True):
        assert (one.task, one.seed, one.steps, one.success) == (other.task, other.seed, other.steps, other.success)
        np.testing.assert_array_equal(one.actions, other.actions)
        np.testing.assert_array_equal(one.proprioception, other.proprioception)


def test_episodes_are_official_states_and_limits_those_of_the_protocol():
    jobs = benchmark(tasks="long", episodes=3, first_placement=4).jobs
    assert [(job.task, job.seed) for job in jobs[:4]] == [
        *((SELECTIONS["long"][0], seed) for seed in (4, 5, 6)),
        (SELECTIONS["long"][1], 4),
    ]
    assert benchmark(tasks="spatial").max_steps == 220
    assert benchmark(tasks=["spatial", "long"], protocol="evo1").max_steps == 990
    assert benchmark(tasks="spatial", max_steps=30).worlds(None).max_steps == 30
    fresh = {(job.task, job.seed) for job in benchmark(placements="evaluation").jobs}
    shown = {(job.task, job.seed) for job in benchmark(placements="demonstration").jobs}
    assert len(fresh | shown) == 800


@pytest.mark.libero
def test_distractors_could_be_followed_in_the_scene():
    bench = benchmark()
    assert len(bench.distractors(SELECTIONS["goal"][0])) == 9
    others = bench.distractors(MILK)
    assert TASKS[MILK].instruction not in others and len(others) == 5
    assert bench.distractors(SELECTIONS["spatial"][0]) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": "libero"}, "no task 'libero'"),
        ({"view": "evo1"}, "no 'evo1' of LIBERO; choose one of libero_256"),
        ({"protocol": "openpi"}, "no 'openpi' of LIBERO; choose one of standard, evo1"),
        ({"tasks": []}, "at least one task, but tasks is empty"),
        ({"episodes": 0}, "episodes of at least 1 .* got 0 and 0"),
        ({"placements": "evaluation", "first_placement": -1}, "first_placement of at least 0; got 10 and -1"),
        ({"episodes": 40, "first_placement": 20}, "40 from number 20 on are not among them"),
        ({"videos": 1}, "Videos need images"),
    ],
)
def test_what_does_not_exist_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        benchmark(**options)


def test_an_expert_without_simulator_state_says_so():
    observation = Observation(np.zeros(8, dtype=np.float32), "pick", "libero", {})
    with pytest.raises(ValueError, match="reads the simulator's state"):
        ScriptedLiberoAgent().act([observation], [Slot(MILK, 0, 0)])
