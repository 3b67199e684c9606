"""Jobs through a Dask client: what a cluster by address and one on SLURM have in common."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import la4vla
from la4vla.construction.executors.dask_watch import WorkerWatch
from la4vla.construction.pool import THREADS

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")

POLL_S = 0.02
MISSING = "A Dask cluster needs `pip install la4vla[cluster]`."


def run_on(
    client: Client,
    jobs: Mapping[int, Callable[[], Result]],
    patience_s: float | None = None,
    check: Callable[[int], None] = lambda workers: None,
) -> Iterator[tuple[int, Result]]:
    """Yield ``(number, result)`` of every job as the workers of ``client`` finish it.

    A job whose worker dies is begun again on another, until it has cost more than
    ``distributed.scheduler.allowed-failures`` workers: the fourth ends it unless Dask's configuration says otherwise.
    Where no worker works it says so and waits for one.

    Args:
        client: Of the cluster.
        jobs: By number.
        patience_s: How long no worker may work; None for ever.
        check: Told now and then how many workers there are; may raise.

    Raises:
        ChildProcessError: If a job kills whichever worker takes it.
        TimeoutError: If no worker has worked for ``patience_s``.
        ConnectionError: If the scheduler is lost.
    """
    from distributed import KilledWorker, as_completed

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told in a sentence
    watch = WorkerWatch(client, patience_s, check)
    watch.look(at_once=True)
    # Dask would unpickle a function's arguments on its event loop; simulators want to live and die in one thread.
    futures = {
        client.submit(_work, pickle.dumps(job), la4vla.__version__, str(Path.cwd()), pure=False): number
        for number, job in jobs.items()
    }
    try:
        for future in _arriving(as_completed(list(futures), loop=client.loop), watch):
            if future.cancelled() or future.status == "lost":
                raise ConnectionError(
                    "The Dask scheduler was lost. What is finished is kept; run the same command again."
                )
            try:
                result: Result = future.result()
            except KilledWorker as error:
                raise ChildProcessError(
                    "One job ended several workers, most likely for lack of memory. What is finished is kept; give "
                    "workers more memory, or lower episodes_per_shard, and run the same command again."
                ) from error
            yield futures.pop(future), result
            future.release()
    finally:
        if client.status == "running":
            with suppress(OSError):  # a scheduler that goes just now has nothing left to cancel
                client.cancel(list(futures), force=True)


def _arriving(completed: Any, watch: WorkerWatch) -> Iterator[Any]:
    """Futures as they complete; the workers are looked after meanwhile."""
    while not completed.is_empty():
        if completed.has_ready():
            watch.result()
            yield next(completed)
        else:
            time.sleep(POLL_S)
            watch.look()


def _work(pickled: bytes, version: str, folder: str) -> Any:
    """Carry out one job; inside a worker.

    Raises:
        ValueError: If this worker is no place to build: another version of this package, or several threads.
    """
    from distributed import get_worker

    worker = get_worker()
    if la4vla.__version__ != version:
        raise ValueError(
            f"Worker {worker.address} has la4vla {la4vla.__version__}, this is {version}; install one version on all."
        )
    if worker.state.nthreads != 1:
        raise ValueError(
            f"Worker {worker.address} has {worker.state.nthreads} threads, but a simulator or decoder may have one. "
            "Start workers with `--nthreads 1`, as many of them as there are cores."
        )
    os.environ.update(THREADS)
    if Path(folder).is_dir():
        os.chdir(folder)  # relative paths of the card mean those of whoever gave it
    return pickle.loads(pickled)()
