"""Submitting jobs to SLURM that may refuse them: told, tried again, and given up where nothing else is left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

# Seconds before each further try; the last is taken again and again.
DELAYS_S = (5.0, 15.0, 30.0, 60.0)


class Submission:
    """Submission of a build's jobs to SLURM, with its retries.

    Attributes:
        refusals: How often ``sbatch`` has refused one and the same job since it last accepted one.
        reason: What it said.
        ended: Whether the build has ended, and no further try is wanted.
    """

    def __init__(self) -> None:
        self.refusals, self.reason, self.ended = 0, "", False

    async def submit(self, sbatch: Callable[[str], Awaitable[str]], script: str) -> str:
        """What ``sbatch`` prints once it accepts ``script``."""
        tries = 0
        while True:
            try:
                printed = await sbatch(script)
            except (RuntimeError, OSError) as error:
                tries += 1
                self._refused(tries, str(error))
            else:
                self.refusals = 0
                return printed
            await self._pause(_delay_s(tries))

    def check(self, workers: int) -> None:
        """Give up where ``sbatch`` goes on refusing and no worker is left.

        Raises:
            ConnectionRefusedError: With what ``sbatch`` says.
        """
        if self.refusals > len(DELAYS_S) and not workers:
            raise ConnectionRefusedError(
                f"sbatch has refused {self.refusals} times and no worker is left ({self.reason}). What is finished is "
                "kept; correct partition, account, memory, walltime or directives, and run the same command again."
            )

    def _refused(self, tries: int, told: str) -> None:
        told = told.partition("stderr:\n")[2] or told
        self.reason = " ".join(told.split()) or "without a word"
        if tries > self.refusals:  # many jobs are refused at once; one speaks for all
            self.refusals = tries
            again = f"sbatch refused a job ({self.reason}); trying again in {_delay_s(tries):g} s."
            print(again, file=sys.stderr, flush=True)

    async def _pause(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds / 0.5))):
            if self.ended:
                raise asyncio.CancelledError
            await asyncio.sleep(min(seconds, 0.5))


def _delay_s(tries: int) -> float:
    return DELAYS_S[min(tries, len(DELAYS_S)) - 1]
