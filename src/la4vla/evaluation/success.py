"""Success rates with their uncertainty: per task, per group, and two honest means of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor
from torchmetrics import Metric

from la4vla.evaluation.outcomes import Outcome

CONFIDENCE = 0.95


@dataclass(frozen=True)
class SuccessRate:
    """``successes`` out of ``episodes``."""

    successes: int
    episodes: int

    @property
    def rate(self) -> float:
        """Successes over episodes, in [0, 1]."""
        return self.successes / self.episodes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate."""
        return wilson_interval(self.successes, self.episodes)


def wilson_interval(successes: int, episodes: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion, ``(low, high)`` in [0, 1].

    With ``p`` the observed rate, ``n`` the episodes and ``z`` the normal quantile of ``confidence``, it is
    ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`` (Wilson 1927); unlike the textbook's ``p ± z s`` it keeps its
    promise near 0 and 1, and for few episodes.

    Raises:
        ValueError: If ``episodes`` is 0 or ``successes`` does not lie in 0..episodes.
    """
    if not 0 <= successes <= episodes or episodes == 0:
        raise ValueError(
            f"A success rate needs at least one episode and 0..episodes successes; got {successes}/{episodes}."
        )
    interval = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Summary:
    """Success rates of one policy on one benchmark.

    Args:
        tasks: By task, in the order the outcomes came.
        groups: By group of tasks; empty where tasks have no groups.
        pooled: All episodes together. Its interval speaks of these tasks: it holds for fresh episodes, not fresh tasks.
    """

    tasks: Mapping[str, SuccessRate]
    groups: Mapping[str, SuccessRate]
    pooled: SuccessRate

    @property
    def group_mean(self) -> float:
        """Mean of the groups' rates, each group weighing the same: what the papers print for Meta-World.

        A group of few tasks weighs as much as one of many there; the order of two policies can differ from the pooled
        rate's.
        """
        return sum(group.rate for group in self.groups.values()) / len(self.groups)

    @property
    def group_mean_standard_error(self) -> float:
        """Standard error of :attr:`group_mean` over fresh episodes: ``√(Σ p(1-p)/n) / G``.

        It is 0 where every group was solved always or never; :attr:`group_mean_interval` is not.
        """
        variance = sum(group.rate * (1 - group.rate) / group.episodes for group in self.groups.values())
        return math.sqrt(variance) / len(self.groups)

    @property
    def group_mean_interval(self) -> tuple[float, float]:
        """95 % interval of :attr:`group_mean`, from the groups' Wilson intervals ``(l, u)``.

        ``m - √(Σ (p - l)²) / G`` to ``m + √(Σ (u - p)²) / G`` (the method of variance estimates recovery, Zou and
        Donner 2008), which of one group is Wilson's own.
        """
        ends = [(group.rate, *group.interval) for group in self.groups.values()]
        below = math.sqrt(sum((rate - low) ** 2 for rate, low, _ in ends)) / len(ends)
        above = math.sqrt(sum((high - rate) ** 2 for rate, _, high in ends)) / len(ends)
        return max(0.0, self.group_mean - below), min(1.0, self.group_mean + above)


def summarize(outcomes: Iterable[Outcome]) -> Summary:
    """Count successes by task, by group and in all.

    Raises:
        ValueError: If there is no outcome, or if outcomes of several policies are mixed.
    """
    outcomes = list(outcomes)
    if not outcomes:
        raise ValueError("There is no outcome to summarize; run at least one episode.")
    if len(policies := {outcome.policy for outcome in outcomes}) > 1:
        raise ValueError(f"A summary is of one policy, but the outcomes are of {sorted(policies)}; pick one first.")
    return Summary(
        tasks=_rates((outcome.task, outcome.success) for outcome in outcomes),
        groups=_rates((outcome.group, outcome.success) for outcome in outcomes if outcome.group),
        pooled=_rates(("all", outcome.success) for outcome in outcomes)["all"],
    )


def _rates(labelled: Iterable[tuple[str, bool]]) -> dict[str, SuccessRate]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for label, success in labelled:
        counts[label][0] += success
        counts[label][1] += 1
    return {label: SuccessRate(*count) for label, count in counts.items()}


class SuccessRateMetric(Metric):
    """Success rate as a torchmetrics metric, for logging and for reduction over processes."""

    higher_is_better = True
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.successes: Tensor
        self.episodes: Tensor
        self.add_state("successes", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("episodes", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, successes: Tensor) -> None:
        """Count a batch of outcomes ``(B,)`` bool."""
        self.successes += successes.sum()
        self.episodes += successes.numel()

    def compute(self) -> dict[str, Tensor]:
        """``success_rate`` and the ends of its Wilson interval, ``low`` and ``high``."""
        low, high = wilson_interval(int(self.successes), int(self.episodes))
        return {"success_rate": self.successes / self.episodes, "low": torch.tensor(low), "high": torch.tensor(high)}
