"""Stages in processes of their own, so that simulators and the policy run at the same time."""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from multiprocessing.connection import Pipe
from subprocess import Popen, TimeoutExpired
from typing import Protocol, Self

from la4vla.rollout.play import Answer, Rules
from la4vla.rollout.stage import Command, MakeEnvironment, RolloutError, Stage, Start
from la4vla.rollout.trajectory import Job

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
PATIENCE_S = 10.0  # how long a worker may take to close its environments


class Stages(Protocol):
    """Whoever carries out commands; the answers to one worker's commands come back in the order they were sent."""

    def send(self, commands: list[Command]) -> None:
        """Begin to carry out ``commands``, at most one for each seat."""
        ...

    def receive(self, seat: int) -> Answer:
        """The answer to the oldest unanswered command at ``seat``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None: ...


class LocalStage:
    """A stage in this very process: for debuggers, and where starting processes costs more than it saves."""

    def __init__(self, make_environment: MakeEnvironment, rules: Rules) -> None:
        self.stage = Stage(make_environment, rules)
        self.answers: dict[int, Answer] = {}

    def send(self, commands: list[Command]) -> None:
        """Carry out ``commands`` at once."""
        for command in commands:
            self.answers[command.seat] = self.stage.obey(command)

    def receive(self, seat: int) -> Answer:
        """The answer that waits at ``seat``."""
        return self.answers.pop(seat)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.stage.close()


class WorkerStages:
    """One stage in each of ``processes`` fresh interpreters.

    They are started as ``python -m la4vla.rollout.worker`` and not through :mod:`multiprocessing`: a forked GL context
    is broken, and a spawned process would first import the calling program, with its torch and Lightning, for nothing.
    A worker ends by itself when this process is gone, however it ended.

    Args:
        make_environment: Builds the environment of a task; pickled, so it must be importable by name.
        rules: What holds for every episode.
        processes: Number of workers; seat ``i`` belongs to worker ``(i // 2) % processes``, so that the even and the
            odd seats, which take turns, are each spread over all workers.
    """

    def __init__(self, make_environment: MakeEnvironment, rules: Rules, processes: int) -> None:
        orders = pickle.dumps((make_environment, rules))
        if b"__main__" in orders:
            raise ValueError(
                f"Rollout workers import the environment's factory by name, but {make_environment!r} is defined in the "
                "program being run; move it to a module, or pass processes=0."
            )
        self.workers = [_Worker(orders) for _ in range(processes)]

    def send(self, commands: list[Command]) -> None:
        """Hand each worker its part of ``commands``."""
        for worker in self.workers:
            mine = [command for command in commands if self._of(command.seat) is worker]
            if mine:
                worker.send(mine)

    def receive(self, seat: int) -> Answer:
        """The answer to the oldest unanswered command at ``seat``; seats must be asked in the order of sending.

        Raises:
            RolloutError: If the environment failed or its worker died.
        """
        return self._of(seat).receive(seat)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for worker in self.workers:
            worker.connection.close()
            if error is not None:
                worker.process.terminate()
        for worker in self.workers:
            worker.end()

    def _of(self, seat: int) -> _Worker:
        return self.workers[seat // 2 % len(self.workers)]


class _Worker:
    """This side of one worker."""

    def __init__(self, orders: bytes) -> None:
        self.connection, far = Pipe()
        command = [sys.executable, "-m", "la4vla.rollout.worker", str(far.fileno())]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = Popen(command, pass_fds=[far.fileno()], env=environment)
        far.close()
        self.jobs: dict[int, Job] = {}
        self.unanswered: deque[int] = deque()
        self.connection.send_bytes(orders)

    def send(self, commands: list[Command]) -> None:
        for command in commands:
            self.unanswered.append(command.seat)
            if isinstance(command, Start):
                self.jobs[command.seat] = command.job
        try:
            self.connection.send(commands)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death() from None

    def receive(self, seat: int) -> Answer:
        if self.unanswered[0] != seat:
            raise ValueError(f"Answers come in the order of commands: seat {self.unanswered[0]} is next, not {seat}.")
        try:
            answer: Answer | RolloutError = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._death() from None
        self.unanswered.popleft()
        if isinstance(answer, RolloutError):
            raise answer
        return answer

    def end(self) -> None:
        try:
            self.process.wait(PATIENCE_S)
        except TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _death(self) -> RolloutError:
        self.end()
        job = self.jobs[self.unanswered[0]]
        return RolloutError(
            f"Task {job.task!r}, seed {job.seed}: the worker process running it died with exit code "
            f"{self.process.returncode}; what it printed is above. Pass processes=0 to run it in this process."
        )


def open_stages(make_environment: MakeEnvironment, rules: Rules, processes: int) -> Stages:
    """Stages in ``processes`` workers, or one in this process where ``processes`` is 0."""
    if processes == 0:
        return LocalStage(make_environment, rules)
    return WorkerStages(make_environment, rules, processes)
