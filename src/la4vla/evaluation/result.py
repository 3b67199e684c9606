"""A benchmark's result and the files it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from la4vla.data.files import written_whole
from la4vla.evaluation.outcomes import Outcome, write_outcomes
from la4vla.evaluation.report import markdown
from la4vla.evaluation.success import Summary, summarize
from la4vla.evaluation.video import Films
from la4vla.rollout.trajectory import Trajectory


@dataclass(frozen=True)
class BenchmarkResult:
    """What one policy did on one benchmark.

    Args:
        outcomes: One for each episode, in the order of the benchmark.
        trajectories: Likewise, but only those of this sitting: of an earlier one nothing but outcomes and films is
            left.
        video_fps: Frames per second at which films play in real time.
    """

    outcomes: tuple[Outcome, ...]
    trajectories: tuple[Trajectory, ...]
    video_fps: float

    @property
    def summary(self) -> Summary:
        """Success rates per task, per group and pooled."""
        return summarize(self.outcomes)

    @property
    def retries(self) -> int:
        """How often an episode had to be begun again because a simulator's process died or hung."""
        return sum(outcome.attempts - 1 for outcome in self.outcomes)

    def write(self, folder: str | Path) -> Path:
        """Write ``outcomes.csv``, ``report.md`` and, where episodes were filmed, ``videos/<task>_<seed>.mp4``."""
        folder = Path(folder)
        write_outcomes(folder / "outcomes.csv", self.outcomes)
        self.write_report(folder)
        films = Films(folder / "videos", self.video_fps, self.outcomes[0].policy)
        for trajectory in self.trajectories:
            films(trajectory)
        return folder

    def write_report(self, folder: str | Path) -> None:
        """Write ``report.md`` alone."""
        first = self.outcomes[0]
        title = f"{first.policy}: {first.perturbation}" if first.perturbation else first.policy
        text = markdown(self.summary, title)
        if self.retries:
            text += f"\n{self.retries} episode(s) begun again after a simulator's process died or hung.\n"
        with written_whole(Path(folder) / "report.md") as file:
            file.write(text.encode())
