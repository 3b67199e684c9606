"""Who rates which segment: a set share by two annotators, the load spread evenly."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from random import Random


def assign(
    segments: Collection[str],
    annotators: Sequence[str],
    double_share: float,
    seed: int,
    rated: Mapping[str, Collection[str]],
) -> dict[str, list[str]]:
    """By annotator, the segments to rate, in the order they are shown; all meet shared ones in the same order.

    The nearest whole number to ``double_share`` of the segments goes to two annotators, the rest to one. Segments are
    dealt out one after the other in an order drawn from ``seed``, each to whom has the fewest so far. Who has rated a
    segment keeps it, so that dealing again in mid-work, with the same annotators or with others, wastes no rating; with
    the same annotators it gives the same answer.

    Args:
        segments: Keys of all segments, in any order.
        annotators: Names.
        double_share: From 0 to 1. With a single annotator the second ratings wait until there is another.
        seed: Any number.
        rated: By segment, who has rated it.

    Raises:
        ValueError: If the share is out of range or names are missing or double.
    """
    if not 0 <= double_share <= 1:
        raise ValueError(f"double_share must lie in 0..1, got {double_share}.")
    if not annotators or len(set(annotators)) != len(annotators) or not all(annotators):
        raise ValueError(f"annotators must be one or more different names, got {list(annotators)}.")
    doubles = doubly_assigned(segments, double_share, seed)
    order = sorted(segments)
    Random(f"order {seed}").shuffle(order)
    queues: dict[str, list[str]] = {name: [] for name in annotators}
    for segment in order:
        chosen = [name for name in annotators if name in rated.get(segment, ())]
        # A person who has left has rated it as well as anyone.
        others = len(set(rated.get(segment, ())) - set(annotators))
        wanted = (2 if segment in doubles else 1) - others - len(chosen)
        free = sorted(
            (name for name in annotators if name not in chosen),
            key=lambda name: (len(queues[name]), _draw(seed, segment, name)),
        )
        for name in [*chosen, *free[: max(0, wanted)]]:
            queues[name].append(segment)
    return queues


def doubly_assigned(segments: Collection[str], double_share: float, seed: int) -> frozenset[str]:
    """The segments that two annotators are to rate."""
    drawn = sorted(segments)
    Random(f"double {seed}").shuffle(drawn)
    return frozenset(drawn[: int(double_share * len(drawn) + 0.5)])


def _draw(seed: int, segment: str, name: str) -> bytes:
    """A tie-breaker that pairs everyone with everyone in the long run."""
    return hashlib.sha256(f"{seed}\0{segment}\0{name}".encode()).digest()
