"""Evaluations are written as they go, and gone on with."""

import errno
import json
import os

import numpy as np
import pytest
from point_benchmark import PointBenchmark, tiny_policy
from point_world import Seeker

from la4vla.evaluation.identity import identity_of
from la4vla.evaluation.outcomes import read_outcomes
from la4vla.rollout.random_agent import RandomAgent
from la4vla.rollout.zero_agent import ZeroAgent


class Known(Seeker):
    identity = "seeker"


class Stopping(Known):
    """Interrupts at its n-th query."""

    def __init__(self, queries):
        super().__init__()
        self.queries = queries

    def act(self, observations, draws=None):
        if len(self.batches) == self.queries:
            raise KeyboardInterrupt
        return super().act(observations, draws)


def rows(folder):
    return (folder / "outcomes.csv").read_text()


def test_an_interrupted_evaluation_goes_on_where_it_stopped(tmp_path):
    benchmark = PointBenchmark(episodes=6)
    whole = benchmark.run(Known(), "p", tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        benchmark.run(Stopping(6), "p", tmp_path / "parts")
    kept = read_outcomes(tmp_path / "parts" / "outcomes.csv")
    assert 0 < len(kept) < 12
    assert "finished" not in json.loads((tmp_path / "parts" / "evaluation.json").read_text())
    policy = Known()
    parts = benchmark.run(policy, "p", tmp_path / "parts")
    assert len(parts.trajectories) == 12 - len(kept)
    assert parts.outcomes == whole.outcomes
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert (tmp_path / "parts" / "report.md").read_text() == (tmp_path / "whole" / "report.md").read_text()
    again = Known()
    assert benchmark.run(again, "p", tmp_path / "parts").outcomes == whole.outcomes
    assert again.batches == []  # a finished evaluation asks the policy nothing


@pytest.mark.parametrize("torn", ["point,p,near,easy,4,1", "point,p,near,easy,4,1,9,1,\0\0\n", "\0\0\0"])
def test_a_torn_last_line_costs_its_episode_only(tmp_path, torn):
    benchmark = PointBenchmark(tasks=["near"], episodes=5)
    whole = benchmark.run(Known(), "p", tmp_path)
    lines = rows(tmp_path).splitlines(keepends=True)
    (tmp_path / "outcomes.csv").write_text("".join(lines[:-1]) + torn)
    result = benchmark.run(Known(), "p", tmp_path)
    assert [(t.task, t.seed) for t in result.trajectories] == [("near", 4)]
    assert result.outcomes == whole.outcomes
    assert rows(tmp_path) == "".join(lines)


def test_an_evaluation_stopped_before_it_was_marked_is_marked_the_next_time(tmp_path):
    benchmark = PointBenchmark(episodes=2)
    benchmark.run(Known(), "p", tmp_path)
    path = tmp_path / "evaluation.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in told.items() if key != "finished"}))
    again = Known()
    benchmark.run(again, "p", tmp_path)
    assert again.batches == []
    assert "finished" in json.loads(path.read_text())


class Cut:
    """A file at whose first truncation the power fails."""

    def __init__(self, file):
        self.file = file

    def truncate(self, size):
        self.file.truncate(size)
        raise KeyboardInterrupt

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_mending_never_takes_whole_rows_off_the_disk(tmp_path, monkeypatch):
    benchmark = PointBenchmark(tasks=["near"], episodes=3)
    benchmark.run(Known(), "p", tmp_path)
    whole = rows(tmp_path)
    (tmp_path / "outcomes.csv").write_text(whole + "point,p,ne")
    with monkeypatch.context() as patch:
        patch.setattr("la4vla.evaluation.journal.open", lambda *words: Cut(open(*words)), raising=False)
        with pytest.raises(KeyboardInterrupt):
            benchmark.run(Known(), "p", tmp_path)
    assert rows(tmp_path) == whole


@pytest.mark.parametrize(
    ("benchmark", "policy", "name", "difference"),
    [
        (PointBenchmark(max_steps=20), Known(), "p", "max_steps: 30 there, 20 here"),
        (PointBenchmark(), ZeroAgent(3), "p", 'identity: "seeker" there, "zero actions of 3 dimensions" here'),
        (PointBenchmark(), Known(), "q", 'policy: "p" there, "q" here'),
    ],
)
def test_a_folder_of_another_evaluation_is_refused(tmp_path, benchmark, policy, name, difference):
    PointBenchmark().run(Known(), "p", tmp_path)
    before = rows(tmp_path)
    run = benchmark.run_agent if isinstance(policy, ZeroAgent) else benchmark.run
    with pytest.raises(ValueError, match=f"with other settings .*{difference}.* Name another folder"):
        run(policy, name, tmp_path)
    assert rows(tmp_path) == before


def test_rows_of_nobody_knows_what_are_refused(tmp_path):
    (tmp_path / "outcomes.csv").write_text("benchmark\n")
    with pytest.raises(ValueError, match="of an unknown evaluation"):
        PointBenchmark().run(Known(), "p", tmp_path)


def test_an_agent_nobody_can_tell_from_others_cannot_be_resumed(tmp_path):
    with pytest.raises(ValueError, match="Seeker has no `identity`"):
        PointBenchmark().run(Seeker(), "p", tmp_path)
    assert len(PointBenchmark().run(Seeker(), "p").outcomes) == 6  # in memory it may run


def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch, capsys):
    benchmark = PointBenchmark(episodes=4, videos=4)

    def full(frames):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("la4vla.evaluation.video.written_whole", full)
        with pytest.raises(OSError, match=r"disk filled up while writing the film .*\.mp4; free some space"):
            benchmark.run(Known(), "p", tmp_path)
    kept = read_outcomes(tmp_path / "outcomes.csv")
    assert len(kept) == 1
    assert f"1 finished episodes are kept in {tmp_path}" in capsys.readouterr().err.replace("\n", "")
    assert len(benchmark.run(Known(), "p", tmp_path).outcomes) == 8
    assert len(list((tmp_path / "videos").iterdir())) == 7  # what was finished without its film has none


def test_a_full_disk_for_rows_is_named(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(fd):
        calls.append(fd)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"disk filled up while adding an episode to .*outcomes.csv; free some space"):
        PointBenchmark().run(Known(), "p", tmp_path)
    monkeypatch.undo()
    assert len(PointBenchmark().run(Known(), "p", tmp_path).outcomes) == 6


def test_two_evaluations_never_write_to_one_folder(tmp_path):
    class Second(Known):
        def act(self, observations, draws=None):
            with pytest.raises(ValueError, match="being written to by another evaluation"):
                PointBenchmark().run(Known(), "p", tmp_path)
            return super().act(observations, draws)

    PointBenchmark().run(Second(), "p", tmp_path)


def test_deaths_of_workers_are_counted_in_the_result(tmp_path):
    benchmark = PointBenchmark(tasks=["deadly"], processes=1, attempts=2)
    with pytest.raises(ValueError, match=r"Task 'deadly', seed 2: .* at attempt 2 of 2"):
        benchmark.run(Known(), "p", tmp_path)
    finished = read_outcomes(tmp_path / "outcomes.csv")
    assert all(outcome.seed != 2 for outcome in finished)
    (tmp_path / "outcomes.csv").write_text(
        "benchmark,policy,task,group,seed,success,steps,attempts,perturbation\n"
        + "".join(f"point,p,deadly,,{seed},1,9,{1 + (seed == 1)},\n" for seed in range(3))
    )
    result = benchmark.run(Known(), "p", tmp_path)
    assert result.retries == 1
    assert "1 episode(s) begun again" in (tmp_path / "report.md").read_text()


def test_a_policy_is_known_by_its_weights():
    policy = tiny_policy()
    before = identity_of(policy)
    assert before == identity_of(tiny_policy())
    next(policy.head.parameters()).data.flatten()[0] += 1e-6
    assert identity_of(policy) != before
    assert identity_of(RandomAgent(3)) != identity_of(RandomAgent(4))


def test_sanity_agents_come_with_every_benchmark():
    agents = PointBenchmark().agents()
    zero = PointBenchmark().run_agent(agents["zero"](), "zero")
    assert zero.summary.pooled.successes == 0
    assert not any(trajectory.actions.any() for trajectory in zero.trajectories)
    random = PointBenchmark().run_agent(agents["random"](), "random")
    assert np.std([trajectory.actions.mean() for trajectory in random.trajectories]) > 0
