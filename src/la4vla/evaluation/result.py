"""A benchmark's result and the files it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from la4vla.data.files import written_whole
from la4vla.evaluation.outcomes import Outcome, write_outcomes
from la4vla.evaluation.report import markdown
from la4vla.evaluation.success import Summary, summarize
from la4vla.evaluation.video import write_videos
from la4vla.rollout.trajectory import Trajectory


@dataclass(frozen=True)
class BenchmarkResult:
    """What one policy did on one benchmark.

    Args:
        outcomes: One for each episode, in the order of the benchmark.
        trajectories: Likewise.
        video_fps: Frames per second at which films play in real time.
    """

    outcomes: tuple[Outcome, ...]
    trajectories: tuple[Trajectory, ...]
    video_fps: float

    @property
    def summary(self) -> Summary:
        """Success rates per task, per group and pooled."""
        return summarize(self.outcomes)

    def write(self, folder: str | Path) -> Path:
        """Write ``outcomes.csv``, ``report.md`` and, where episodes were filmed, ``videos/<task>.mp4``."""
        folder = Path(folder)
        write_outcomes(folder / "outcomes.csv", self.outcomes)
        with written_whole(folder / "report.md") as file:
            file.write(markdown(self.summary, self.outcomes[0].policy).encode())
        write_videos(folder / "videos", self.trajectories, self.video_fps)
        return folder
