"""The far side of a rollout worker: ``python -m la4vla.rollout.worker <descriptor> <parent> <seconds a beat>``."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

from la4vla.rollout.play import Answer
from la4vla.rollout.stage import Command, RolloutError, Stage

HUNG_UP = (EOFError, ConnectionResetError, BrokenPipeError)
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PATIENCE_S = 10.0  # how long closing the environments may take once the other side is gone


def die_with(parent: int) -> None:
    """Have the kernel end this process when ``parent`` ends, even where a simulator never comes back.

    Where the kernel knows no such thing, a thread does the same as long as the simulator lets threads run.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before
        sys.exit(1)


class Beat:
    """Tells the other side, every ``seconds`` at most, that steps are being taken."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.connection = connection
        self.seconds = seconds
        self._next = 0.0

    def __call__(self) -> None:
        """Send a sign of life if it is time for one."""
        if time.monotonic() >= self._next:
            self.connection.send(None)
            self._next = time.monotonic() + self.seconds


def serve(connection: Connection, beat: Beat) -> None:
    """Carry out commands until the other side hangs up."""
    make_environment, rules = connection.recv()
    stage = Stage(make_environment, rules, beat)
    beat()
    inbox: SimpleQueue[list[Command] | None] = SimpleQueue()  # None: the other side hung up
    # Commands are taken in while answers go out: two sides that both wait to be read would wait for ever.
    Thread(target=_take_in, args=(connection, inbox), daemon=True).start()
    try:
        while (commands := inbox.get()) is not None:
            for command in commands:
                connection.send(_answer(stage, command))
    except HUNG_UP:
        pass
    stage.close()


def _take_in(connection: Connection, inbox: SimpleQueue[list[Command] | None]) -> None:
    try:
        while True:
            inbox.put(connection.recv())
    except HUNG_UP:
        inbox.put(None)
        time.sleep(PATIENCE_S)
        os._exit(1)  # this thread still lives, so the simulator hangs


def _answer(stage: Stage, command: Command) -> Answer | RolloutError:
    """The answer to one command; a failure is an answer too, with the traceback from this side as its note."""
    try:
        return stage.obey(command)
    except RolloutError as failure:
        failure.add_note("".join(traceback.format_exception(failure.__cause__)))
        return failure


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process says when to stop
    faulthandler.register(signal.SIGUSR1)  # the other side asks so where a simulator hangs
    die_with(int(sys.argv[2]))
    link = Connection(int(sys.argv[1]))
    serve(link, Beat(link, float(sys.argv[3])))
