"""One loop, whatever the number of workers; failures are sentences."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
from point_world import PointWorld, Seeker

from la4vla.rollout.agent import ChunkingAgent
from la4vla.rollout.runner import rollout
from la4vla.rollout.stage import RolloutError
from la4vla.rollout.trajectory import Job
from la4vla.schema.observation import ActionChunk

JOBS = [(task, seed) for task in ("near", "far") for seed in range(6)]


class Recording(PointWorld):
    """Keeps every instance, to be asked afterwards."""

    worlds: ClassVar[list] = []

    def __init__(self, task):
        super().__init__(task)
        self.resets = 0
        Recording.worlds.append(self)

    def reset(self, seed):
        self.resets += 1
        return super().reset(seed)


@pytest.fixture
def recording():
    Recording.worlds = []
    return Recording


def run(jobs=JOBS, policy=None, world=PointWorld, replan_every=5, **options):
    agent = ChunkingAgent(policy or Seeker(), replan_every)
    return rollout(jobs, world, agent, **{"max_steps": 40, "environments": 4, **options})


def test_results_are_equal_for_every_number_of_workers():
    reference = run(processes=0)
    assert [(t.task, t.seed) for t in reference] == JOBS
    assert 0 < sum(t.success for t in reference)
    assert len({t.steps for t in reference}) > 3
    for processes in (1, 2, 4):
        for ours, theirs in zip(run(processes=processes), reference, strict=True):
            assert (ours.task, ours.seed, ours.success, ours.steps) == (
                theirs.task, theirs.seed, theirs.success, theirs.steps,
            )  # fmt: skip
            np.testing.assert_array_equal(ours.actions, theirs.actions)
            np.testing.assert_array_equal(ours.proprioception, theirs.proprioception)


def test_results_do_not_depend_on_who_shares_the_batch():
    alone = {(t.task, t.seed): t for t in run(environments=1)}
    for trajectory in run(list(reversed(JOBS)), environments=12):
        np.testing.assert_array_equal(trajectory.actions, alone[trajectory.task, trajectory.seed].actions)


@pytest.mark.parametrize("replan_every", [1, 3, 8])
def test_the_agent_executes_exactly_replan_every_actions_per_query(replan_every):
    policy = Seeker(noise=0.3)
    (trajectory,) = run([("far", 0)], policy, replan_every=replan_every, max_steps=24)
    assert trajectory.steps == 24
    assert not trajectory.success
    assert len(policy.draws) == 24 // replan_every
    # the actions executed are the first of each chunk, in order
    place = trajectory.proprioception
    world = PointWorld("far")
    world.reset(0)
    for query, draw in enumerate(policy.draws):
        step = query * replan_every
        np.testing.assert_array_equal(world.place.astype(np.float32), place[step])
        chunk = policy._chunk(world.look(), np.random.default_rng(draw)).actions[:replan_every]
        np.testing.assert_array_equal(np.clip(chunk, -0.1, 0.1), trajectory.actions[step : step + replan_every])
        for action in chunk:
            world.step(action)


def test_a_trajectory_tells_what_happened():
    trajectory = run([("near", 4)])[0]
    assert trajectory.success
    assert trajectory.actions.shape == (trajectory.steps, 3)
    assert trajectory.proprioception.shape == (trajectory.steps + 1, 3)
    assert np.abs(trajectory.actions).max() <= np.float32(0.1)
    np.testing.assert_allclose(np.diff(trajectory.proprioception, axis=0), trajectory.actions, atol=1e-6)
    assert trajectory.frames == []


def test_an_episode_ends_at_max_steps_within_a_chunk():
    (trajectory,) = run([("far", 0)], Seeker(noise=1.0), max_steps=7)
    assert (trajectory.steps, trajectory.success) == (7, False)


def test_only_the_last_frame_before_a_query_is_rendered(recording):
    policy = Seeker(noise=0.3)
    (trajectory,) = run([("far", 0)], policy, recording, replan_every=6, max_steps=24)
    assert trajectory.steps == 24
    assert all(policy.saw)
    assert recording.worlds[0].renders == len(policy.saw) == 4


def test_a_blind_agent_has_nothing_rendered(recording):
    policy = Seeker(noise=0.3)
    rollout([("far", 0)], recording, ChunkingAgent(policy, 6, looks=False), max_steps=24)
    assert not any(policy.saw[1:])
    assert recording.worlds[0].renders == 1  # the reset's


def test_environments_are_reused_and_closed(recording):
    run([("near", seed) for seed in range(9)], world=recording, environments=3)
    assert sum(world.resets for world in recording.worlds) == 9
    assert len(recording.worlds) == 3
    assert all(world.task == "closed" for world in recording.worlds)


def test_a_seat_stays_with_its_task(recording):
    run(world=recording, environments=2)
    first, second, helper = (world.resets for world in recording.worlds)
    assert first == 6  # and the seat that was done first helped with the other's last episode
    assert (second, helper) == (5, 1)


class Telescope(PointWorld):
    """Its images are larger than what a pipe holds."""

    def _observe(self, look):
        return replace(super()._observe(look), images={"top": np.zeros((512, 512, 3), dtype=np.uint8)})


class Planner(Seeker):
    """So are its chunks."""

    def _chunk(self, observation, random):
        return ActionChunk(np.zeros((40_000, 3), dtype=np.float32), observation.embodiment)


def test_large_images_and_large_chunks_do_not_wait_for_each_other():
    jobs = [("far", seed) for seed in range(6)]
    options = {"policy": Planner(), "world": Telescope, "replan_every": 40_000, "max_steps": 2, "processes": 1}
    thread = Thread(target=run, args=(jobs,), kwargs=options, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_film_keeps_some_frames_of_the_chosen_episodes_only():
    jobs = [Job("far", 0, film=True), Job("far", 1)]
    filmed, plain = run(jobs, Seeker(noise=0.3), max_steps=11, film_every=4)
    assert filmed.frame_steps == [0, 4, 8, 11]
    assert [frame.shape for frame in filmed.frames] == [(16, 16, 3)] * 4
    assert plain.frames == []
    np.testing.assert_array_equal(filmed.actions, run([("far", 0)], Seeker(noise=0.3), max_steps=11)[0].actions)


def test_watchers_see_every_trajectory_once():
    seen = []
    trajectories = run(watchers=[seen.append])
    assert sorted(map(id, seen)) == sorted(map(id, trajectories))


@pytest.mark.parametrize(
    "choice", [{"environments": 0}, {"processes": -1}, {"attempts": 0}, {"max_steps": 0}, {"timeout_s": 0}]
)
def test_numbers_that_play_nothing_are_refused(choice):
    with pytest.raises(ValueError, match=rf"at least 1.*{next(iter(choice))}={next(iter(choice.values()))}"):
        run(**choice)


def test_no_jobs_give_no_trajectories():
    assert run([]) == []


@pytest.mark.parametrize("processes", [0, 2])
def test_a_failing_environment_is_named(processes):
    jobs = [("moody", seed) for seed in (1, 2, 4, 6, 7)]
    with pytest.raises(
        RolloutError, match=r"Task 'moody', seed 6: .*ArithmeticError: the point is in a mood"
    ) as caught:
        run(jobs, processes=processes)
    if processes:  # where it happened, which only the worker knows
        assert 'raise ArithmeticError("the point is in a mood")' in caught.value.__notes__[0]
    else:
        assert isinstance(caught.value.__cause__, ArithmeticError)


def test_a_worker_that_always_dies_is_named_after_the_last_attempt(caplog):
    with pytest.raises(RolloutError, match=r"Task 'deadly', seed 2: .* died with exit code 7 at attempt 2 of 2"):
        run([("deadly", seed) for seed in range(5)], processes=2, attempts=2)
    assert [record.message for record in caplog.records] == [
        "Task 'deadly', seed 2: the worker process running it died with exit code 7; attempt 2 follows."
    ]


class Fragile(PointWorld):
    """Kills its process at the fourth step of seed 1, unless a note says that it did so before."""

    def step(self, action, look=True):
        note = Path(os.environ["POINT_WORLD_NOTES"]) / f"{self.task}-{self.seed}"
        if self.steps == 3 and self.seed == 1 and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action, look)


def test_a_dead_worker_costs_an_attempt_of_its_episode_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("POINT_WORLD_NOTES", str(tmp_path))
    calm = Seeker(noise=0.05)
    reference = run(policy=calm)
    policy = Seeker(noise=0.05)
    jobs = [Job(*job, film=True) for job in JOBS]
    played = run(jobs, policy, world=Fragile, processes=2)
    assert {(t.task, t.seed): t.attempts for t in played} == {job: 2 if job[1] == 1 else 1 for job in JOBS}
    for ours, theirs in zip(played, reference, strict=True):
        assert (ours.success, ours.steps) == (theirs.success, theirs.steps)
        np.testing.assert_array_equal(ours.actions, theirs.actions)
        assert ours.frame_steps == sorted({*range(0, ours.steps, 4), ours.steps})
    assert policy.draws == calm.draws  # the policy was asked nothing twice


class Stillborn(PointWorld):
    """Kills its process when it is first reset for seed 1, unless a note says that it did so before."""

    def reset(self, seed):
        note = Path(os.environ["POINT_WORLD_NOTES"]) / f"{self.task}-{seed}"
        if seed == 1 and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(seed)


@pytest.mark.parametrize("environments", [1, 4])
def test_a_worker_that_dies_while_an_episode_begins_is_revived(environments, monkeypatch, tmp_path):
    monkeypatch.setenv("POINT_WORLD_NOTES", str(tmp_path))
    played = run(world=Stillborn, processes=1, environments=environments)
    assert {(t.task, t.seed): t.attempts for t in played} == {job: 2 if job[1] == 1 else 1 for job in JOBS}
    for ours, theirs in zip(played, run(), strict=True):
        np.testing.assert_array_equal(ours.actions, theirs.actions)


class Stuck(PointWorld):
    """Never comes back from the fourth step of seed 1, or from its reset in task "near", unless a note says it did."""

    def reset(self, seed):
        self.seed = seed
        self._hang(self.task == "near" and seed == 1)
        return super().reset(seed)

    def step(self, action, look=True):
        self._hang(self.task == "far" and self.seed == 1 and self.steps == 3)
        return super().step(action, look)

    def _hang(self, here):
        note = Path(os.environ["POINT_WORLD_NOTES"]) / f"{self.task}-{self.seed}"
        if here and not note.exists():
            note.write_text(str(os.getpid()))
            # A library that holds the interpreter's lock: neither threads nor handlers of Python run.
            ctypes.PyDLL(None).sleep(600)


def test_a_simulator_that_hangs_costs_an_attempt_of_its_episode_and_nothing_else(monkeypatch, tmp_path, caplog, capfd):
    monkeypatch.setenv("POINT_WORLD_NOTES", str(tmp_path))
    played = run(world=Stuck, processes=2, timeout_s=2.0)
    assert {(t.task, t.seed): t.attempts for t in played} == {job: 2 if job[1] == 1 else 1 for job in JOBS}
    for ours, theirs in zip(played, run(), strict=True):
        np.testing.assert_array_equal(ours.actions, theirs.actions)
    assert sorted(record.message for record in caplog.records) == [
        f"Task {task!r}, seed 1: the worker process running it showed no sign of life for 2 s (timeout_s) and was "
        "killed; attempt 2 follows."
        for task in ("far", "near")
    ]
    assert "in _hang" in capfd.readouterr().err  # where it hung


def test_a_simulator_that_always_hangs_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("POINT_WORLD_NOTES", str(tmp_path))
    with pytest.raises(RolloutError, match=r"Task 'far', seed 1: .* no sign of life for 2 s .* at attempt 1 of 1"):
        run(world=Stuck, processes=1, timeout_s=2.0, attempts=1, jobs=[("far", 1)])


class Slow(PointWorld):
    """Takes longer for a chunk than it may take for a step."""

    def step(self, action, look=True):
        time.sleep(0.25)
        return super().step(action, look)


def test_a_slow_chunk_of_quick_steps_does_not_hang():
    (played,) = run(
        [("far", 0)], Seeker(noise=0.3), world=Slow, processes=1, max_steps=8, replan_every=8, timeout_s=1.5
    )
    assert (played.steps, played.attempts) == (8, 1)


ORPHAN = """
import sys
sys.path.insert(0, sys.argv[1])
from test_runner import Stuck, run
run([("far", 1)], world=Stuck, processes=1)
"""


def test_a_worker_that_hangs_dies_with_its_parent(monkeypatch, tmp_path):
    monkeypatch.setenv("POINT_WORLD_NOTES", str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, str(Path(__file__).parent)])
    note = tmp_path / "far-1"
    while not (note.exists() and note.read_text()):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    for _ in range(200):
        if not _runs(int(note.read_text())):
            return
        time.sleep(0.05)
    raise AssertionError("The worker outlived its parent.")


def _runs(process: int) -> bool:
    """Whether ``process`` is there and no zombie that waits for its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Forgetful(PointWorld):
    """Dies once, and is solved at once the next time: what it does follows from more than task and seed."""

    def step(self, action, look=True):
        note = Path(os.environ["POINT_WORLD_NOTES"]) / "died"
        if note.exists():
            return replace(super().step(action, look), success=True)
        if self.steps == 7:
            note.touch()
            os._exit(9)
        return super().step(action, look)


def test_a_world_that_does_not_repeat_itself_is_found_out(monkeypatch, tmp_path):
    monkeypatch.setenv("POINT_WORLD_NOTES", str(tmp_path))
    with pytest.raises(RolloutError, match=r"Task 'far', seed 0: played again .* ended earlier than at first"):
        run([("far", 0)], world=Forgetful, processes=1)


def test_a_factory_that_workers_cannot_import_is_refused(monkeypatch):
    local = type("Local", (PointWorld,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Local", local, raising=False)
    with pytest.raises(ValueError, match="move it to a module"):
        run(world=local, processes=1)


class Broken:
    """Answers a non-finite action at its third step of its second chunk."""

    def __init__(self, value):
        self.value = value
        self.queries = 0

    def act(self, observations, draws=None):
        self.queries += 1
        actions = np.zeros((8, 3), dtype=np.float32)
        if self.queries == 2:
            actions[2, 1] = self.value
        return [ActionChunk(actions, "point") for _ in observations]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_action_that_is_not_finite_is_named(value):
    with pytest.raises(RolloutError, match=rf"Task 'far', seed 5, step 7: .*{value}.*not finite"):
        run([("far", 5)], Broken(value), processes=1)


@pytest.mark.parametrize("error", [RolloutError, KeyboardInterrupt])
def test_workers_are_gone_after_an_error(error, monkeypatch):
    started = []

    def popen(*args, **options):
        started.append(subprocess.Popen(*args, **options))
        return started[-1]

    def stop(trajectory):
        raise error

    monkeypatch.setattr("la4vla.rollout.worker_link.Popen", popen)
    with pytest.raises(error):
        run(processes=2, watchers=[stop])
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)
