"""The one loop in which agents meet environments."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from la4vla.rollout.agent import Agent, Slot
from la4vla.rollout.play import Rules
from la4vla.rollout.stage import Advance, Command, MakeEnvironment, RolloutError, Start
from la4vla.rollout.trajectory import Job, Trajectory
from la4vla.rollout.workers import TIMEOUT_S, Stages, open_stages
from la4vla.schema.observation import Observation

Watcher = Callable[[Trajectory], None]


def rollout(
    jobs: Iterable[tuple[str, int] | Job],
    make_environment: MakeEnvironment,
    agent: Agent,
    *,
    max_steps: int,
    processes: int = 0,
    environments: int = 16,
    film_every: int = 4,
    watchers: Sequence[Watcher] = (),
    attempts: int = 3,
    timeout_s: float = TIMEOUT_S,
) -> list[Trajectory]:
    """Run every job and return the trajectories in the order of the jobs.

    Episodes sit at ``environments`` seats, in two halves that take turns: while the workers step one half through its
    actions, the agent answers the other, in one batch. Who shares a batch follows from the order of jobs and the number
    of seats alone, so a result is the same, bit for bit, whatever the number of processes.

    Args:
        jobs: Episodes to run: task and seed, or :class:`Job` where frames are to be kept.
        make_environment: Builds the environment of a task. With processes, it must be importable by name.
        agent: Who acts.
        max_steps: Actions after which an episode ends unsolved.
        processes: Worker processes that hold the environments; 0 keeps them in this process.
        environments: Episodes under way at once; a policy's batch is half of it.
        film_every: Steps between the frames of a filmed episode.
        watchers: Called with each trajectory as it is finished.
        attempts: How often one episode may be begun, should workers die or hang while playing it. A worker that
            does is started anew and brought to where it was; trajectories tell how often theirs was begun.
        timeout_s: Seconds that building, resetting or stepping an environment may take in a worker.

    Raises:
        ValueError: If a number is out of range.
        RolloutError: If an environment failed, workers died at one episode too often, or the agent's actions cannot be
            executed; the message names task and seed. All workers are ended first.
    """
    least = {"max_steps": 1, "processes": 0, "environments": 1, "film_every": 1, "attempts": 1}
    given = dict(zip(least, (max_steps, processes, environments, film_every, attempts), strict=True))
    wrong = [f"{name}={number}" for name, number in given.items() if number < least[name]]
    wrong += [] if 0 < timeout_s < float("inf") else [f"timeout_s={timeout_s:g}"]
    if wrong:
        raise ValueError(
            "Episodes need max_steps, environments, film_every and attempts of at least 1, processes of at least 0 and "
            f"timeout_s above 0; got {', '.join(wrong)}."
        )
    rules = Rules(max_steps=max_steps, looks=agent.looks, film_every=film_every)
    every = [Job(*job) for job in jobs]
    if not every:
        return []
    with open_stages(make_environment, rules, processes, attempts, timeout_s) as stages:
        return _Run(every, stages, agent, min(environments, len(every)), watchers).run()


class _Seat:
    """The main process's side of one episode under way."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.job_index: int | None = None
        self.query = 0
        self.steps = 0


class _Queue:
    """Jobs that wait, handed out so that a seat stays with its task: building an environment is what costs."""

    def __init__(self, jobs: list[Job]) -> None:
        self.fresh: dict[str, deque[int]] = {}
        self.begun: dict[str, deque[int]] = {}
        for index, job in enumerate(jobs):
            self.fresh.setdefault(job.task, deque()).append(index)

    def take(self, last: str | None) -> int | None:
        """The next job of task ``last``, else of a task nobody has begun, else of the task with most jobs left."""
        task = last if last in self.begun else next(iter(self.fresh), None)
        task = task or max(self.begun, key=lambda name: len(self.begun[name]), default=None)
        if task is None:
            return None
        indices = self.begun.setdefault(task, self.fresh.pop(task, deque()))
        index = indices.popleft()
        if not indices:
            del self.begun[task]
        return index


class _Run:
    def __init__(
        self, jobs: list[Job], stages: Stages, agent: Agent, environments: int, watchers: Sequence[Watcher]
    ) -> None:
        self.jobs = jobs
        self.stages = stages
        self.agent = agent
        self.watchers = watchers
        self.queue = _Queue(jobs)
        self.finished: dict[int, Trajectory] = {}
        seats = [_Seat(index) for index in range(environments)]
        self.halves = [seats[0::2], seats[1::2]]

    def run(self) -> list[Trajectory]:
        for half in self.halves:
            self.stages.send([command for seat in half if (command := self._start(seat))])
        while len(self.finished) < len(self.jobs):
            for half in self.halves:
                self._turn([seat for seat in half if seat.job_index is not None])
        return [self.finished[index] for index in range(len(self.jobs))]

    def _turn(self, seats: list[_Seat]) -> None:
        """Take in what happened at ``seats``, ask the agent, and send them on."""
        commands: list[Command] = []
        acting: list[tuple[_Seat, Observation]] = []
        for seat in seats:
            answer = self.stages.receive(seat.index)
            if isinstance(answer, Observation):
                acting.append((seat, answer))
            else:
                self._finish(seat, answer)
                commands += [command] if (command := self._start(seat)) else []
        commands += self._ask(acting)
        self.stages.send(sorted(commands, key=lambda command: command.seat))

    def _ask(self, acting: list[tuple[_Seat, Observation]]) -> list[Command]:
        if not acting:
            return []
        slots = [self._slot(seat) for seat, _ in acting]
        answers = self.agent.act([observation for _, observation in acting], slots)
        commands: list[Command] = []
        for (seat, _), slot, actions in zip(acting, slots, answers, strict=True):
            _check(actions, slot, seat.steps)
            seat.query += 1
            seat.steps += len(actions)
            commands.append(Advance(seat.index, actions))
        return commands

    def _slot(self, seat: _Seat) -> Slot:
        assert seat.job_index is not None
        job = self.jobs[seat.job_index]
        return Slot(job.task, job.seed, seat.query)

    def _start(self, seat: _Seat) -> Start | None:
        last = None if seat.job_index is None else self.jobs[seat.job_index].task
        seat.job_index = self.queue.take(last)
        seat.query = seat.steps = 0
        return None if seat.job_index is None else Start(seat.index, self.jobs[seat.job_index])

    def _finish(self, seat: _Seat, trajectory: Trajectory) -> None:
        assert seat.job_index is not None
        self.finished[seat.job_index] = trajectory
        for watcher in self.watchers:
            watcher(trajectory)


def _check(actions: np.ndarray, slot: Slot, steps: int) -> None:
    where = f"Task {slot.task!r}, seed {slot.seed}"
    if actions.ndim != 2 or not len(actions):
        raise RolloutError(
            f"{where}, step {steps}: actions must be of shape (n, A) with n at least 1, the agent gave {actions.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(actions).all(axis=1))
    if len(bad):
        raise RolloutError(
            f"{where}, step {steps + int(bad[0])}: the agent answered {actions[bad[0]].tolist()}, which is not finite; "
            "nothing was executed. Check the checkpoint's weights and its statistics."
        )
