"""A bar that shows how a rollout fares."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from la4vla.rollout.trajectory import Trajectory


class ProgressBar:
    """A watcher that draws a bar of finished episodes with the success rate so far; in a log, a line at each tenth.

    Args:
        episodes: Episodes in all.
        label: What is being run.
        visible: Whether the bar is drawn at all, on standard error.
        done: Episodes finished before, in an earlier sitting.
        solved: How many of those were solved.
    """

    def __init__(
        self, episodes: int, label: str = "rollout", visible: bool = True, done: int = 0, solved: int = 0
    ) -> None:
        self.solved = solved
        self.done = done
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("success {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, soft_wrap=True),
            disable=not (visible and sys.stderr.isatty()),
        )
        self.label, self.episodes = label, episodes
        self.lines = visible and not sys.stderr.isatty()
        self.line = self.bar.add_task(label, total=episodes, completed=done, rate=self._rate)

    def __call__(self, trajectory: Trajectory) -> None:
        """Count one finished episode."""
        self.done += 1
        self.solved += trajectory.success
        self.bar.update(self.line, completed=self.done, rate=self._rate)
        if self.lines and (self.done == self.episodes or self.done % max(1, self.episodes // 10) == 0):
            print(f"{self.label}  {self.done}/{self.episodes}  success {self._rate}", file=sys.stderr, flush=True)

    @property
    def _rate(self) -> str:
        return f"{self.solved / self.done:.1%}" if self.done else "-"

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.bar.stop()
