"""Jobs over a Dask cluster that runs already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from la4vla.construction.executors.base import Executor, Result
from la4vla.construction.executors.dask_client import MISSING, run_on


@dataclass(frozen=True)
class DaskCluster(Executor):
    """The workers of a Dask scheduler. They see the same folders under the same names, or write to an object store.

    Args:
        address: Of the scheduler, ``tcp://host:8786``.
        timeout_s: How long to try to reach it.
        patience_s: How long to wait while no worker works, because there is none or all are paused; None for ever.
    """

    address: str
    timeout_s: float = 5.0
    patience_s: float | None = 3600.0

    def run(self, jobs: Mapping[int, Callable[[], Result]]) -> Iterator[tuple[int, Result]]:
        """As :meth:`Executor.run`.

        Raises:
            ImportError: If Dask is not installed.
            ConnectionError: If the scheduler is not reached, or lost.
            TimeoutError: If no worker has worked for ``patience_s``.
        """
        if not jobs:
            return
        try:
            from distributed import Client
        except ImportError as error:
            raise ImportError(MISSING) from error
        try:
            client = Client(self.address, timeout=self.timeout_s, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"No Dask scheduler answers at {self.address} ({str(error).splitlines()[0]}). Start one with "
                "`dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`, or correct the address."
            ) from error
        with client:
            yield from run_on(client, jobs, self.patience_s)
