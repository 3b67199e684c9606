"""Progress of a build: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# A log gets a line when so much more is done, or so long after the one before, whichever comes first.
SHARE, SECONDS = 0.1, 60.0


class BuildProgress:
    """Counts episodes that were read.

    Args:
        folder: Where the build goes.
        total: Episodes in all.
        done: Those of groups that were there already.
    """

    def __init__(self, folder: str, total: int, done: int) -> None:
        self.folder, self.total, self.done, self.dropped = folder, total, done, 0
        self._console = Console(soft_wrap=True)
        self._begun = self._told_s = time.monotonic()
        self._told = done
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("episodes, {task.fields[dropped]} dropped"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(folder, total=total, completed=done, dropped=0)

    def advance(self, episodes: int, dropped: int) -> None:
        """Count ``episodes`` more; ``dropped`` is how many were given up so far, in all."""
        self.done, self.dropped = self.done + episodes, dropped
        self._bar.update(self._task, completed=self.done, dropped=dropped)
        far = self.done - self._told >= SHARE * self.total or self.done == self.total
        if far or time.monotonic() - self._told_s >= SECONDS:
            self._tell()

    def __enter__(self) -> Self:
        self._bar.start()
        self._tell()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def _tell(self) -> None:
        if self._console.is_terminal:
            return
        self._told, self._told_s = self.done, time.monotonic()
        after = timedelta(seconds=round(self._told_s - self._begun))
        line = f"{self.folder}: {self.done}/{self.total} episodes, {self.dropped} dropped, {after}"
        print(line, file=self._console.file, flush=True)
