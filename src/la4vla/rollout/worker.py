"""The far side of a rollout worker: ``python -m la4vla.rollout.worker <file descriptor>``."""

from __future__ import annotations

import signal
import sys
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

from la4vla.rollout.play import Answer
from la4vla.rollout.stage import Command, RolloutError, Stage

HUNG_UP = (EOFError, ConnectionResetError, BrokenPipeError)


def serve(connection: Connection) -> None:
    """Carry out commands until the other side hangs up."""
    stage = Stage(*connection.recv())
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


def _answer(stage: Stage, command: Command) -> Answer | RolloutError:
    """The answer to one command; a failure is an answer too, with the traceback from this side as its note."""
    try:
        return stage.obey(command)
    except RolloutError as failure:
        failure.add_note("".join(traceback.format_exception(failure.__cause__)))
        return failure


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process says when to stop
    serve(Connection(int(sys.argv[1])))
