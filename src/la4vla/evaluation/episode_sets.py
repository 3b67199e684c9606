"""Evaluations sorted by the episodes they had: only those of equal episodes can be counted together or compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from la4vla.evaluation.outcomes import Outcome, kind_and_level
from la4vla.evaluation.runs import EvaluatedRun


@dataclass(frozen=True)
class EpisodeSet:
    """All evaluations on the very same episodes of one benchmark, disturbed or not.

    Args:
        runs: At least one.
        number: Which set of its benchmark this is, from 1 on; 0 where it is the only one.
    """

    runs: tuple[EvaluatedRun, ...]
    number: int

    @property
    def title(self) -> str:
        """The benchmark, and where it has several sets the number and size of this one."""
        benchmark, episodes = self.runs[0].outcomes[0].benchmark, self.runs[0].episodes
        if not self.number:
            return benchmark
        tasks = len({task for task, _ in episodes})
        return f"{benchmark}, episode set {self.number} (tasks: {tasks}, episodes: {len(episodes)})"

    @property
    def stem(self) -> str:
        """A name for files, different for every set."""
        benchmark = self.runs[0].outcomes[0].benchmark
        return f"{benchmark}_{self.number}" if self.number else benchmark

    @property
    def perturbations(self) -> list[str]:
        """What its evaluations were disturbed by: first "", by nothing, then each kind by its level."""
        found = dict.fromkeys(run.setting[1] for run in self.runs)
        kinds = list(dict.fromkeys(kind_and_level(label)[0] for label in found))
        return sorted(found, key=lambda label: (label != "", kinds.index((kind := kind_and_level(label))[0]), kind[1]))

    @property
    def curve_outcomes(self) -> list[Outcome]:
        """Outcomes of disturbed runs, and the undisturbed ones of the same policies; empty if none is disturbed.

        Of several training seeds under one name, only those whose disturbed runs are there count as undisturbed.
        """
        disturbed = {(run.policy, run.identity) for run in self.runs if run.setting[1]}
        mine = [run for run in self.runs if (run.policy, run.identity) in disturbed]
        return [outcome for run in mine for outcome in run.outcomes]


def episode_sets(runs: Iterable[EvaluatedRun]) -> list[EpisodeSet]:
    """The sets that ``runs`` fall into, by order of appearance."""
    found: dict[str, dict[frozenset[tuple[str, int]], list[EvaluatedRun]]] = {}
    for run in runs:
        found.setdefault(run.setting[0], {}).setdefault(run.episodes, []).append(run)
    return [
        EpisodeSet(tuple(mine), number if len(by_episodes) > 1 else 0)
        for by_episodes in found.values()
        for number, mine in enumerate(by_episodes.values(), start=1)
    ]


def check_same_episodes(runs: Sequence[EvaluatedRun]) -> None:
    """Raise unless ``runs`` can be counted together.

    Raises:
        ValueError: If they are of different episodes.
    """
    for run in runs[1:]:
        if run.episodes != runs[0].episodes or run.setting != runs[0].setting:
            raise ValueError(
                f"Evaluations counted together must have the same episodes, but {run.source} and {runs[0].source} "
                f"share {len(run.episodes & runs[0].episodes)} of {len(run.episodes)} and {len(runs[0].episodes)}: "
                "report them apart."
            )
