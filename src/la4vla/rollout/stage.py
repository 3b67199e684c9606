"""Where episodes happen: a set of environments, stepped through whole chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from la4vla.rollout.environment import Environment
from la4vla.rollout.play import Answer, Play, Rules
from la4vla.rollout.trajectory import Job, Trajectory

MakeEnvironment = Callable[[str], Environment]
IDLE_ENVIRONMENTS = 8  # building a simulator costs more than resetting one, keeping many costs memory


class RolloutError(ValueError):
    """An episode could not be played; the message names its task and seed."""


class Start(NamedTuple):
    """Begin ``job`` at seat ``seat``. Answered by the first observation."""

    seat: int
    job: Job


class Advance(NamedTuple):
    """Execute ``actions`` ``(n, A)`` at seat ``seat``. Answered by the observation after them, or by a trajectory."""

    seat: int
    actions: np.ndarray


Command = Start | Advance


class Stage:
    """Environments behind numbered seats; one episode at each.

    Args:
        make_environment: Builds the environment of a task.
        rules: What holds for every episode.
        beat: Called whenever an environment was built or has taken a step.
    """

    def __init__(
        self, make_environment: MakeEnvironment, rules: Rules, beat: Callable[[], None] = lambda: None
    ) -> None:
        self.make_environment = make_environment
        self.rules = rules
        self.beat = beat
        self.plays: dict[int, Play] = {}
        self.idle: list[tuple[str, Environment]] = []

    def obey(self, command: Command) -> Answer:
        """Carry out one command.

        Raises:
            RolloutError: If the environment could not be built, or failed; its own error is the cause.
        """
        if isinstance(command, Start):
            with _Naming(command.job, "start"):
                play = Play(command.job, self._environment(command.job.task), self.rules, self.beat)
                self.beat()
                self.plays[command.seat] = play
                return play.start()
        play = self.plays[command.seat]
        with _Naming(play.job, "act"):
            answer = play.advance(command.actions)
        if isinstance(answer, Trajectory):
            del self.plays[command.seat]
            self._keep(play.job.task, play.environment)
        return answer

    def close(self) -> None:
        """Close every environment."""
        for environment in [play.environment for play in self.plays.values()] + [kept for _, kept in self.idle]:
            environment.close()
        self.plays, self.idle = {}, []

    def _environment(self, task: str) -> Environment:
        for index, (name, environment) in enumerate(self.idle):
            if name == task:
                del self.idle[index]
                return environment
        return self.make_environment(task)

    def _keep(self, task: str, environment: Environment) -> None:
        self.idle.append((task, environment))
        if len(self.idle) > IDLE_ENVIRONMENTS:
            self.idle.pop(0)[1].close()


class _Naming:
    """Names the episode in whatever error leaves the block."""

    def __init__(self, job: Job, verb: str) -> None:
        self.job = job
        self.verb = verb

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            job, name = self.job, type(error).__name__
            raise RolloutError(
                f"Task {job.task!r}, seed {job.seed}: the environment failed to {self.verb} ({name}: {error})."
            ) from error
