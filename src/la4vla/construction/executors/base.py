"""What an executor is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Executor(Protocol):
    """Carries out jobs, somewhere, and hands back what they return.

    A job can be pickled and is idempotent: done twice, even by two workers at once, it leaves the same files. So an
    executor may begin one again that it lost sight of.
    """

    def run(self, jobs: Mapping[int, Callable[[], Result]]) -> Iterator[tuple[int, Result]]:
        """Yield ``(number, result)`` of every job as it finishes; the first failure stops the rest.

        Raises:
            OSError: If workers died, or cannot be reached. What a job itself raises is raised here.
        """
        ...
