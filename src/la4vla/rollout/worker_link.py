"""This side of one rollout worker."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections import deque
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from subprocess import Popen, TimeoutExpired

from la4vla.rollout.play import Answer
from la4vla.rollout.stage import Command, RolloutError, Start
from la4vla.rollout.trajectory import Job, Trajectory

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
PATIENCE_S = 10.0  # how long a worker may take to close its environments
LAST_WORDS_S = 0.5  # how long a worker that hangs may take to say where
STARTING_S = 300.0  # what a fresh process has at least: it imports whole simulators, from a slow disk perhaps
BEAT_S = 1.0  # a worker that steps says so that often
DEATHS = (EOFError, OSError)  # a message that breaks off is an OSError


class WorkerLink:
    """A worker process, started anew whenever it dies or hangs.

    An episode is a function of its task, its seed and the actions sent, so a fresh worker that is sent the same
    commands once more stands where the dead one stood: the agent is not asked again and nobody else notices. The
    death counts as a failed attempt of the episode whose command was being carried out.

    Args:
        orders: What the worker is told first: the pickled factory and rules.
        attempts: How often one episode may be begun.
        timeout_s: Seconds that building, resetting or stepping an environment may take. A worker that is waited for and
            shows no sign of life for so long is killed, and counts like one that died.
    """

    def __init__(self, orders: bytes, attempts: int, timeout_s: float) -> None:
        self.orders = orders
        self.attempts = attempts
        self.timeout_s = timeout_s
        self.unanswered: deque[int] = deque()
        self._history: dict[int, list[Command]] = {}  # by seat, the episode under way, its last command included
        self._begun: dict[Job, int] = {}
        self._start_process()

    def send(self, commands: list[Command]) -> None:
        """Have ``commands`` carried out, at most one for each seat."""
        for command in commands:
            self.unanswered.append(command.seat)
            if isinstance(command, Start):
                self._history[command.seat] = []
            self._history[command.seat].append(command)
        self._try_send(commands)

    def receive(self, seat: int) -> Answer:
        """The answer to the oldest unanswered command, which must be of ``seat``.

        Raises:
            RolloutError: If the environment failed, or the worker died and the episode has used up its attempts.
        """
        if self.unanswered[0] != seat:
            raise ValueError(f"Answers come in the order of commands: seat {self.unanswered[0]} is next, not {seat}.")
        answer = self._next_answer()
        self.unanswered.popleft()
        if not isinstance(answer, Trajectory):
            return answer
        job = self._job(seat)
        del self._history[seat]
        return replace(answer, attempts=1 + self._begun.pop(job, 0))

    def hang_up(self, at_once: bool) -> None:
        """Tell the worker to end."""
        self.connection.close()
        if at_once:
            self.process.terminate()

    def wait(self) -> None:
        """Wait until the worker has ended, for a while."""
        try:
            self.process.wait(PATIENCE_S)
        except TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _start_process(self) -> None:
        self.connection: Connection
        self.connection, far = Pipe()
        told = [far.fileno(), os.getpid(), min(BEAT_S, self.timeout_s / 4)]
        command = [sys.executable, "-m", "la4vla.rollout.worker", *map(str, told)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = Popen(command, pass_fds=[far.fileno()], env=environment)
        far.close()
        self.hung = False
        self.patience_s = max(STARTING_S, self.timeout_s)
        self.connection.send_bytes(self.orders)

    def _next_answer(self) -> Answer:
        while True:
            try:
                return self._read()
            except DEATHS:
                self._revive()

    def _read(self) -> Answer:
        """The worker's next answer, for which it may take ``timeout_s`` from one sign of life to the next.

        Raises:
            OSError: If it is dead, or was killed because it hangs; EOFError likewise.
            RolloutError: If the environment failed.
        """
        answer: Answer | RolloutError | None = None  # None: a sign of life
        while answer is None:
            if not self.connection.poll(self.patience_s):
                self._kill_hung()
                raise TimeoutError(f"no sign of life for {self.patience_s:g} s")
            answer = self.connection.recv()
            self.patience_s = self.timeout_s
        return _checked(answer)

    def _kill_hung(self) -> None:
        self.hung = True
        self.process.send_signal(signal.SIGUSR1)  # it prints where it is
        with suppress(TimeoutExpired):
            self.process.wait(LAST_WORDS_S)
        self.process.kill()

    def _revive(self) -> None:
        """A fresh worker in the state of the dead one, with all that is unanswered sent again."""
        seat: int | None = self.unanswered[0]
        while seat is not None:
            self._count_death(self._job(seat))
            self._start_process()
            seat = self._replay()

    def _replay(self) -> int | None:
        """Bring a fresh worker to where the dead one was; the seat at which it died in turn, if it did."""
        for seat, commands in self._history.items():
            played = commands[:-1] if seat in self.unanswered else commands
            try:
                self.connection.send(played)
                answers = [self._read() for _ in played]
            except DEATHS:
                return seat
            if any(isinstance(answer, Trajectory) for answer in answers):
                job = self._job(seat)
                raise RolloutError(
                    f"Task {job.task!r}, seed {job.seed}: played again with the same actions the episode ended earlier "
                    "than at first; an environment must be a function of task, seed and actions alone."
                )
        self._try_send([self._history[seat][-1] for seat in self.unanswered])
        return None

    def _try_send(self, commands: list[Command]) -> None:
        # A worker that is dead by now is found out on receiving, once the answers it still gave have been read: only
        # then is it known which command it died of.
        with suppress(*DEATHS):
            self.connection.send(commands)

    def _count_death(self, job: Job) -> None:
        self.connection.close()
        self.wait()
        self._begun[job] = self._begun.get(job, 0) + 1
        fate = f"died with exit code {self.process.returncode}"
        if self.hung:
            fate = f"showed no sign of life for {self.patience_s:g} s (timeout_s) and was killed"
        told = f"Task {job.task!r}, seed {job.seed}: the worker process running it {fate}"
        if self._begun[job] >= self.attempts:
            raise RolloutError(
                f"{told} at attempt {self._begun[job]} of {self.attempts}; what it printed is above. Pass processes=0 "
                "to run it in this process."
            )
        logging.getLogger(__name__).warning("%s; attempt %d follows.", told, self._begun[job] + 1)

    def _job(self, seat: int) -> Job:
        start = self._history[seat][0]
        assert isinstance(start, Start)
        return start.job


def _checked(answer: Answer | RolloutError) -> Answer:
    if isinstance(answer, RolloutError):
        raise answer
    return answer
