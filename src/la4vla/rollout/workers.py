"""Stages in processes of their own, so that simulators and the policy run at the same time."""

from __future__ import annotations

import pickle
from typing import Protocol, Self

from la4vla.rollout.play import Answer, Rules
from la4vla.rollout.stage import Command, MakeEnvironment, Stage
from la4vla.rollout.worker_link import WorkerLink

TIMEOUT_S = 300.0  # no simulator takes as long for one step or reset, however slow the machine


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
    A worker ends by itself when this process is gone, however it ended and even where its simulator hangs.

    Args:
        make_environment: Builds the environment of a task; pickled, so it must be importable by name.
        rules: What holds for every episode.
        processes: Number of workers; seat ``i`` belongs to worker ``(i // 2) % processes``, so that the even and the
            odd seats, which take turns, are each spread over all workers.
        attempts: How often one episode may be begun, should workers die or hang while playing it.
        timeout_s: Seconds that building, resetting or stepping an environment may take.
    """

    def __init__(
        self, make_environment: MakeEnvironment, rules: Rules, processes: int, attempts: int = 3,
        timeout_s: float = TIMEOUT_S,
    ) -> None:  # fmt: skip
        orders = pickle.dumps((make_environment, rules))
        if b"__main__" in orders:
            raise ValueError(
                f"Rollout workers import the environment's factory by name, but {make_environment!r} is defined in the "
                "program being run; move it to a module, or pass processes=0."
            )
        self.workers = [WorkerLink(orders, attempts, timeout_s) for _ in range(processes)]

    def send(self, commands: list[Command]) -> None:
        """Hand each worker its part of ``commands``."""
        for worker in self.workers:
            mine = [command for command in commands if self._of(command.seat) is worker]
            if mine:
                worker.send(mine)

    def receive(self, seat: int) -> Answer:
        """The answer to the oldest unanswered command at ``seat``; seats must be asked in the order of sending.

        Raises:
            RolloutError: If the environment failed, or its worker died too often.
        """
        return self._of(seat).receive(seat)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for worker in self.workers:
            worker.hang_up(at_once=error is not None)
        for worker in self.workers:
            worker.wait()

    def _of(self, seat: int) -> WorkerLink:
        return self.workers[seat // 2 % len(self.workers)]


def open_stages(
    make_environment: MakeEnvironment, rules: Rules, processes: int, attempts: int = 3, timeout_s: float = TIMEOUT_S
) -> Stages:
    """Stages in ``processes`` workers, or one in this process where ``processes`` is 0."""
    if processes == 0:
        return LocalStage(make_environment, rules)
    return WorkerStages(make_environment, rules, processes, attempts, timeout_s)
