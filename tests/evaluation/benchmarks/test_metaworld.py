"""The real simulator through the very same runner."""

from collections import Counter

import imageio.v3 as imageio
import numpy as np
import pytest

from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.data.shard_writer import write_manifest, write_shard
from la4vla.data.shards import Record
from la4vla.data.statistics import StatisticsStream
from la4vla.evaluation.benchmarks.metaworld import MetaworldBenchmark, ScriptedExpertAgent
from la4vla.evaluation.outcomes import read_outcomes
from la4vla.rollout.random_agent import RandomAgent
from la4vla.schema.observation import ActionChunk
from la4vla.schema.statistics import Domain
from la4vla.simulators.metaworld import METAWORLD
from la4vla.simulators.metaworld_tasks import HELD_OUT, placement_seed


def benchmark(**options):
    return MetaworldBenchmark(**{"view": None, "processes": 0, "progress": False, **options})


def test_experts_solve_their_tasks_equally_whoever_holds_the_environments():
    tasks = ("drawer-open", "push")
    alone = benchmark(tasks=tasks, episodes=2, environments=1).run_agent(ScriptedExpertAgent(), "expert")
    assert alone.summary.pooled.rate == 1
    assert {"drawer-open": "easy", "push": "hard"} == {o.task: o.group for o in alone.outcomes}
    shared = benchmark(tasks=tasks, episodes=2, environments=4, processes=2).run_agent(ScriptedExpertAgent(), "expert")
    for ours, theirs in zip(shared.trajectories, alone.trajectories, strict=True):
        assert (ours.task, ours.seed) == (theirs.task, theirs.seed)
        np.testing.assert_array_equal(ours.actions, theirs.actions)
        np.testing.assert_array_equal(ours.proprioception, theirs.proprioception)


def test_random_actions_solve_next_to_nothing():
    result = benchmark(tasks=("drawer-open", "push", "assembly"), episodes=2, max_steps=150).run_agent(
        RandomAgent(4), "random"
    )
    assert result.summary.pooled.successes == 0
    assert all(outcome.steps == 150 for outcome in result.outcomes)


def test_placements_are_those_of_evaluation_and_differ():
    jobs = benchmark(tasks="held_out", episodes=4, first_placement=6).jobs
    assert len(jobs) == 40
    assert len({(job.task, job.seed) for job in jobs}) == 40
    assert jobs[1].seed == placement_seed("evaluation", HELD_OUT[0], 7)
    demonstrations = {placement_seed("demonstration", job.task, index) for job in jobs for index in range(100)}
    assert not demonstrations & {job.seed for job in jobs}
    # equal placements whatever else is run
    assert set(benchmark(tasks=("lever-pull",), episodes=10).jobs) >= {job for job in jobs if job.task == "lever-pull"}


class Reacher:
    """Goes where it sees nothing in particular, and keeps what it saw."""

    def __init__(self):
        self.seen = []

    def act(self, observations, draws=None):
        self.seen += observations
        actions = [np.random.default_rng(draw).uniform(-1, 1, (6, 4)).astype(np.float32) for draw in draws]
        return [ActionChunk(action, "metaworld") for action in actions]


def test_a_policy_sees_its_view_and_films_are_kept(tmp_path):
    policy = Reacher()
    run = benchmark(tasks=("reach",), episodes=2, view="evo1_64", max_steps=12, replan_every=5, videos=1, film_every=4)
    result = run.run(policy, "reacher")
    assert len(policy.seen) == 6  # 2 episodes, queries at steps 0, 5 and 10
    assert {observation.view for observation in policy.seen} == {"evo1_64"}
    assert all(observation.images["corner2"].shape == (64, 64, 3) for observation in policy.seen)
    assert [trajectory.frame_steps for trajectory in result.trajectories] == [[0, 4, 8, 12], []]
    result.write(tmp_path)
    assert tuple(read_outcomes(tmp_path / "outcomes.csv")) == result.outcomes
    assert "| reach | 0/2 |" in (tmp_path / "report.md").read_text()
    film = tmp_path / "videos" / f"reach_{result.outcomes[0].seed}.mp4"
    assert imageio.immeta(film, plugin="FFMPEG")["fps"] == 20


def test_a_demonstration_can_be_replayed(tmp_path):
    episode = MetaworldExperts("evo1_64", tasks=["reach"], episodes=1).read(("reach", 0), False, Counter())
    words = {"key": episode.key, "task": episode.task, "instruction": episode.instruction}
    write_shard(
        tmp_path / "00000.tar", [Record(**words, proprioception=episode.proprioception, actions=episode.actions)]
    )
    streams = StatisticsStream(), StatisticsStream()
    streams[0].update(episode.key, episode.proprioception)
    streams[1].update(episode.key, episode.actions)
    domain = Domain(METAWORLD, None, streams[0].finish(), streams[1].finish())
    write_manifest(tmp_path, name="demonstrations", unit="episode", domain=domain, shards=["00000.tar"])
    run = benchmark(tasks=("reach",), episodes=1, placements="demonstration", demonstrations=str(tmp_path))
    result = run.run_agent(run.agents()["replay"](), "replay")
    assert result.summary.pooled.rate == 1
    actions = result.trajectories[0].actions
    np.testing.assert_array_equal(actions, episode.actions[: len(actions)])
    with pytest.raises(ValueError, match=r"A replay needs the demonstrations .* benchmark\.placements=demonstration"):
        benchmark().agents()["replay"]()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": "everything"}, "no task 'everything'"),
        ({"tasks": ("reach", "juggle")}, "no task 'juggle'"),
        ({"view": "evo2"}, "no view 'evo2'"),
        ({"videos": 1}, "Videos need images"),
        ({"placements": "elsewhere"}, "no 'elsewhere' here; choose one of evaluation, demonstration, official"),
        ({"environments": 0}, "must be at least 1"),
        ({"tasks": ()}, "at least one task, but tasks is empty"),
        ({"episodes": 0}, "episodes of at least 1 .* got 0 and 0"),
    ],
)
def test_what_does_not_exist_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        benchmark(**options)


def test_an_expert_without_simulator_state_says_so():
    from la4vla.rollout.agent import Slot
    from la4vla.schema.observation import Observation

    observation = Observation(np.zeros(4, dtype=np.float32), "reach", "metaworld", {})
    with pytest.raises(ValueError, match="reads the simulator's state"):
        ScriptedExpertAgent().act([observation], [Slot("reach", 0, 0)])
