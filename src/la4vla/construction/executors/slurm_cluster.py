"""Jobs over workers that SLURM starts for this build alone."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from la4vla.construction.executors.base import Executor, Result
from la4vla.construction.executors.dask_client import MISSING, run_on
from la4vla.construction.executors.slurm_submission import Submission


@dataclass(frozen=True)
class SlurmCluster(Executor):
    """Dask workers in SLURM jobs, begun and ended with the build; the scheduler runs beside the verb.

    A job that ends at its walltime is submitted again, and what it was working on is begun again elsewhere.

    Args:
        jobs: SLURM jobs at once.
        workers_per_job: Workers in each job, each with one core.
        memory: Of one job, ``"8GB"``.
        walltime: Of one job, ``"04:00:00"``.
        partition: SLURM's partition; None leaves it to SLURM.
        account: Whose allowance to use; None leaves it to SLURM.
        interface: Network interface between the nodes, ``"ib0"``; None takes the first one.
        directives: Further lines for ``#SBATCH``, ``"--gres=gpu:1"``.
        prologue: Shell lines to run before the workers, ``"module load osmesa"``.
        log_folder: Where SLURM writes what jobs print; None leaves that to SLURM.
        patience_s: How long to wait while no worker works, in the queue or otherwise; None for ever, with a word every
            ten minutes.

    Raises:
        ValueError: If a number is below 1.
    """

    jobs: int
    workers_per_job: int = 1
    memory: str = "8GB"
    walltime: str = "04:00:00"
    partition: str | None = None
    account: str | None = None
    interface: str | None = None
    directives: list[str] = field(default_factory=list)
    prologue: list[str] = field(default_factory=list)
    log_folder: str | None = None
    patience_s: float | None = None

    def __post_init__(self) -> None:
        if min(self.jobs, self.workers_per_job) < 1:
            raise ValueError(
                f"jobs and workers_per_job must be at least 1, got {self.jobs} and {self.workers_per_job}."
            )

    def run(self, jobs: Mapping[int, Callable[[], Result]]) -> Iterator[tuple[int, Result]]:
        """As :meth:`Executor.run`.

        Raises:
            ImportError: If Dask or dask-jobqueue is not installed.
            FileNotFoundError: If there is no ``sbatch``.
            ConnectionRefusedError: If ``sbatch`` goes on refusing and there is no worker.
            TimeoutError: If no worker has worked for ``patience_s``.
        """
        if not jobs:
            return
        if shutil.which("sbatch") is None:
            raise FileNotFoundError("There is no `sbatch` on this machine; start the build on a login node of SLURM.")
        submission = Submission()
        with self.cluster(submission) as cluster, cluster.get_client() as client:
            wanted = min(self.jobs, len(jobs))
            cluster.adapt(minimum_jobs=wanted, maximum_jobs=wanted)  # unlike scale() it replaces jobs that ended
            try:
                yield from run_on(client, jobs, self.patience_s, submission.check)
            finally:
                submission.ended = True

    def cluster(self, submission: Submission | None = None) -> Any:
        """The scheduler, and how its jobs will be submitted; none is yet."""
        slurm = _jobqueue()
        submit = (submission or Submission()).submit

        class Job(slurm.SLURMJob):  # type: ignore[misc,name-defined,unused-ignore]
            async def _submit_job(self, script_filename: str) -> str:
                return await submit(super()._submit_job, script_filename)

        return slurm.SLURMCluster(
            job_cls=Job,
            queue=self.partition,
            account=self.account,
            cores=self.workers_per_job,  # one thread each
            processes=self.workers_per_job,
            memory=self.memory,
            walltime=self.walltime,
            interface=self.interface,
            job_extra_directives=self.directives,
            job_script_prologue=self.prologue,
            log_directory=self.log_folder,
            python=sys.executable,
            job_name="la4vla",
            death_timeout=300,  # s until a worker that finds no scheduler gives up; busy nodes start slowly
            scheduler_options={"dashboard": False},
        )


def _jobqueue() -> Any:
    """dask-jobqueue's module for SLURM. Importing it takes SIGINT and ends with status 0, so the signal is given back.

    No annotation names that module, since whoever resolves annotations would import it, and take the signal, unseen.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue import slurm
    except ImportError as error:
        raise ImportError(MISSING) from error
    taken = "dask_jobqueue.runner"
    if getattr(signal.getsignal(signal.SIGINT), "__module__", None) == taken:
        theirs = getattr(before, "__module__", None) == taken  # it was imported before, by somebody else
        signal.signal(signal.SIGINT, signal.default_int_handler if theirs else before)
    return slurm
