"""Ratings that were given in less time than their clips take to be seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from la4vla.construction.rating import Rating


def haste_lines(ratings: Iterable[Rating]) -> list[str]:
    """A sentence for each annotator, by name: how many ratings, and how many of them were given before one pass."""
    by: dict[str, list[float | None]] = defaultdict(list)
    for rating in ratings:
        by[rating.annotator].append(rating.passes)
    return [_line(name, by[name]) for name in sorted(by)]


def _line(name: str, passes: list[float | None]) -> str:
    recorded = [n for n in passes if n is not None]
    hasty = sum(n < 1 for n in recorded)
    line = f"{name}: {len(passes)} ratings, {hasty} of them given in less time than the clip takes to be seen once"
    unknown = len(passes) - len(recorded)
    return f"{line}; for {unknown} the time is not recorded." if unknown else f"{line}."
