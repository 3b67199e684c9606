"""Jobs over processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from la4vla.construction.executors.base import Executor, Result
from la4vla.construction.pool import run_jobs


@dataclass(frozen=True)
class Processes(Executor):
    """Worker processes here; with one process, or one job, this process itself.

    Args:
        processes: How many, at least 1.
    """

    processes: int

    def run(self, jobs: Mapping[int, Callable[[], Result]]) -> Iterator[tuple[int, Result]]:
        """As :meth:`Executor.run`."""
        return run_jobs(jobs, self.processes)
