"""Two policies on the same episodes: a far sharper question than two rates side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from la4vla.evaluation.outcomes import Outcome

DECIDED = 6  # episodes that only one policy solved, below which no split is significant


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

    @property
    def detectable_difference(self) -> float:
        """The smallest difference of rates that as many episodes would show in four of five comparisons.

        With ``d`` the share of episodes that only one policy solved and ``n`` the episodes it is the ``δ`` that solves
        ``n δ² = (z₀.₉₇₅ √d + z₀.₈ √(d - δ²))²`` (Connor 1987, Biometrics 43), and no less than ``6 / n``: the exact
        test needs six episodes, all won by one, for p below 0.05.
        """
        share, least = (self.wins + self.losses) / self.episodes, min(1.0, DECIDED / self.episodes)
        alpha, power = norm.ppf(0.975), norm.ppf(0.8)

        def surplus(difference: float) -> float:
            spread: float = alpha * math.sqrt(share) + power * math.sqrt(max(share - difference**2, 0.0))
            return math.sqrt(self.episodes) * difference - spread

        return max(least, float(brentq(surplus, 0.0, 1.0))) if surplus(1.0) > 0 else 1.0


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


def _by_episode(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str, int], bool]:
    solved: dict[tuple[str, str, str, int], bool] = {}
    for outcome in outcomes:
        episode = outcome.benchmark, outcome.perturbation, *outcome.episode
        if episode in solved:
            raise ValueError(f"Episode {episode} occurs twice; compare the outcomes of one run of each policy.")
        solved[episode] = outcome.success
    return solved
