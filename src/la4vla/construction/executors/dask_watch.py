"""Looking after the workers of a Dask cluster: a wait for them is announced, and may be bounded."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

# Seconds between two looks, between two announcements of one wait, and without a result until paused workers are told.
EVERY_S, AGAIN_S, SILENT_S = 2.0, 600.0, 60.0


class WorkerWatch:
    """Says when no worker works, and gives up after a while.

    Args:
        client: Of the cluster.
        patience_s: How long no worker may work; None for ever.
        check: Told with every look how many workers there are; may raise.
    """

    def __init__(self, client: Client, patience_s: float | None, check: Callable[[int], None]) -> None:
        self.client, self.patience_s, self.check = client, patience_s, check
        self._looked = self._result = time.monotonic()
        self._idle_since: float | None = None
        self._told = self._told_paused = -AGAIN_S
        self._seen = False

    def result(self) -> None:
        """A job has ended."""
        self._result = time.monotonic()

    def look(self, at_once: bool = False) -> None:
        """Look now and then; call it while there is nothing else to do.

        Raises:
            TimeoutError: If no worker has worked for ``patience_s``.
        """
        now = time.monotonic()
        if self.client.status != "running" or not (at_once or now - self._looked >= EVERY_S):
            return
        self._looked = now
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        except OSError:
            return  # a scheduler that goes is told by its jobs
        paused = sum(worker.get("status") == "paused" for worker in workers)
        working = len(workers) - paused
        self.check(len(workers))
        self._count(now, working, paused)
        self._seen = self._seen or bool(workers)
        if working and paused and now - max(self._result, self._told_paused) >= SILENT_S:
            self._told_paused = now
            _say(f"{paused} of {len(workers)} workers are paused, most likely for lack of memory; the others go on.")

    def _count(self, now: float, working: int, paused: int) -> None:
        if working:
            if self._idle_since is not None:
                _say(f"Going on with {working} worker{'s' * (working != 1)}.")
            self._idle_since, self._told = None, -AGAIN_S
            return
        self._idle_since = now if self._idle_since is None else self._idle_since
        why = f"All {paused} workers of the cluster are paused, most likely for lack of memory"
        if not paused:
            why = f"The cluster has no worker {'any more' if self._seen else 'yet'}"
        waited_s = now - self._idle_since
        if self.patience_s is not None and waited_s >= self.patience_s:
            raise TimeoutError(
                f"{why}, for {waited_s:.0f} s now. What is finished is kept; start workers, or give them more memory, "
                "and run the same command again."
            )
        if now - self._told >= AGAIN_S:
            self._told = now
            until = "" if self.patience_s is None else f" at most {self.patience_s:.0f} s"
            _say(f"{why}; waiting{until} for one.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
