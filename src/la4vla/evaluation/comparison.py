"""Two policies on the same episodes: a far sharper question than two rates side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import binomtest

from la4vla.evaluation.outcomes import Outcome


@dataclass(frozen=True)
class Comparison:
    """One policy against another, episode by episode.

    Args:
        wins: Episodes only the first solved.
        losses: Episodes only the second solved.
        episodes: All episodes, those that both or neither solved included.
    """

    wins: int
    losses: int
    episodes: int

    @property
    def difference(self) -> float:
        """Success rate of the first minus that of the second, in [-1, 1]."""
        return (self.wins - self.losses) / self.episodes

    @property
    def p_value(self) -> float:
        """Two-sided exact McNemar test: how likely is so uneven a split of wins and losses between equals."""
        decided = self.wins + self.losses
        return float(binomtest(self.wins, decided, 0.5).pvalue) if decided else 1.0


def compare(first: Iterable[Outcome], second: Iterable[Outcome]) -> Comparison:
    """Compare two policies on the episodes that both ran.

    Raises:
        ValueError: If they did not run the very same episodes (benchmark, task and seed), each once.
    """
    one, two = _by_episode(first), _by_episode(second)
    if one.keys() != two.keys() or not one:
        raise ValueError(
            f"A paired comparison needs the same episodes of both policies: {len(one.keys() & two.keys())} are shared, "
            f"{len(one.keys() - two.keys())} are the first's alone, {len(two.keys() - one.keys())} the second's."
        )
    wins = sum(one[episode] and not two[episode] for episode in one)
    losses = sum(two[episode] and not one[episode] for episode in one)
    return Comparison(wins, losses, len(one))


def _by_episode(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, int], bool]:
    solved: dict[tuple[str, str, int], bool] = {}
    for outcome in outcomes:
        episode = outcome.benchmark, outcome.task, outcome.seed
        if episode in solved:
            raise ValueError(f"Episode {episode} occurs twice; compare the outcomes of one run of each policy.")
        solved[episode] = outcome.success
    return solved
