"""Jobs over worker processes: results as they come, the first failure stops the rest."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import TypeVar

Result = TypeVar("Result")

# Workers share the cores among them: each renders in its own thread and calculates in one.
THREADS = {"LP_NUM_THREADS": "0", "OMP_NUM_THREADS": "1"}


def run_jobs(jobs: Mapping[int, Callable[[], Result]], processes: int) -> Iterator[tuple[int, Result]]:
    """Yield ``(number, result)`` of every job as it finishes; with one process, or one job, here and in order.

    Raises:
        ChildProcessError: If a worker process dies. What a job itself raises is raised here.
    """
    if processes == 1 or len(jobs) <= 1:
        yield from ((number, job()) for number, job in jobs.items())
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a forked process cannot use its parent's OpenGL
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context, initializer=_begin_worker)
    running: dict[Future[Result], int] = {pool.submit(job): number for number, job in jobs.items()}
    try:
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "A worker process died, most likely for lack of memory. What is finished is kept; "
            "run the same command again, with a smaller processes=... if it happens again."
        ) from error
    finally:
        if running:  # a failure or an interruption: what is being worked on is given up, not waited for
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Have this worker process end when its parent does; a pool's workers outlive one that is killed, idle for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the parent's to handle
    os.environ.update(THREADS)
    end_with_parent()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
