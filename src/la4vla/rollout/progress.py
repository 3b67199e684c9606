"""A bar that shows how a rollout fares."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from la4vla.rollout.trajectory import Trajectory


class ProgressBar:
    """A watcher that draws a bar of finished episodes with the success rate so far.

    Args:
        episodes: Episodes in all.
        label: What is being run.
        visible: Whether the bar is drawn at all, on standard error.
    """

    def __init__(self, episodes: int, label: str = "rollout", visible: bool = True) -> None:
        self.solved = 0
        self.done = 0
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("success {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not visible,
        )
        self.line = self.bar.add_task(label, total=episodes, rate="-")

    def __call__(self, trajectory: Trajectory) -> None:
        """Count one finished episode."""
        self.done += 1
        self.solved += trajectory.success
        self.bar.update(self.line, completed=self.done, rate=f"{self.solved / self.done:.1%}")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.bar.stop()
