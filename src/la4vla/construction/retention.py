"""Which segments people's ratings let through (LA4VLA, sections 4.2 and 7.6), with boundaries where they moved them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean

from la4vla.construction.rating import Rating, read_ratings
from la4vla.schema.episode import Episode, Segment


@dataclass(frozen=True)
class Verdict:
    """What all ratings of one segment say together.

    Args:
        quality: Mean quality.
        shift_start: Mean shift of the first step, halves towards the boundary as it was proposed.
        shift_stop: Likewise of the end.
    """

    quality: float
    shift_start: int
    shift_stop: int


@dataclass(frozen=True)
class Retention:
    """Keeps the segments whose mean quality over their annotators is high enough; confidence plays no part.

    Args:
        path: The ratings, a JSONL file as the verification page exports it.
        least_quality: Least mean quality that is kept. The paper's number did not survive publication, but its scale
            calls 2 acceptable and says that what is kept is at least that.

    Raises:
        ValueError: If ``least_quality`` is no score.
    """

    path: str
    least_quality: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.least_quality <= 3:
            raise ValueError(f"least_quality must lie in 0..3, got {self.least_quality}.")

    @property
    def ready(self) -> bool:
        """Whether there are ratings yet."""
        return Path(self.path).is_file()

    @property
    def sha256(self) -> str:
        """Hash of the ratings, which the exported set depends on."""
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()

    def retained(
        self, episode: Episode, segments: Sequence[Segment], phases: Counter[str], dropped: Counter[str]
    ) -> tuple[list[Segment], list[str]]:
        """The segments of an episode that are kept, and a sentence about ratings that fit none of its segments.

        Counts and reasons are added to ``phases`` and ``dropped`` in passing.

        Raises:
            ValueError: If the file of ratings is damaged, or two segments were moved onto each other.
        """
        rated = dict(_rated(self.path, Path(self.path).stat().st_mtime_ns).get(episode.key, {}))
        kept: list[Segment] = []
        for segment in segments:
            # one person may have seen a segment of this key before the segmenter was changed, and another this one
            seen = [rating for rating in rated.get(segment.start, ()) if _judged(rating, segment)]
            if not seen:
                dropped["not rated"] += 1
                continue
            rated[segment.start] = [rating for rating in rated[segment.start] if rating not in seen]
            verdict = verdicts_of(seen)[seen[0].segment]
            if verdict.quality < self.least_quality:
                dropped[f"quality below {self.least_quality:g}"] += 1
                continue
            kept.append(moved := _moved(episode, segment, verdict))
            phases["verified"] += 1
            phases["verified_frames"] += len(moved)
        strays = [start for start, ratings in sorted(rated.items()) if ratings]
        if not strays:
            return kept, []
        dropped["ratings of other segments"] += len(strays)
        keys = ", ".join(segment_key(episode.key, start) for start in strays)
        return kept, [f"{self.path} rates {keys}, but the segmenter proposes no such segment now."]


def mean_qualities(ratings: Iterable[Rating]) -> dict[str, float]:
    """By segment, the mean of all its quality scores."""
    return {segment: verdict.quality for segment, verdict in verdicts_of(ratings).items()}


def verdicts_of(ratings: Iterable[Rating]) -> dict[str, Verdict]:
    """By segment, what its ratings say together."""
    by_segment: dict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        by_segment[rating.segment].append(rating)
    return {
        segment: Verdict(
            quality=fmean(r.quality for r in each),
            shift_start=_towards_zero(fmean(r.shift_start for r in each)),
            shift_stop=_towards_zero(fmean(r.shift_stop for r in each)),
        )
        for segment, each in by_segment.items()
    }


def segment_key(episode: str, start: int) -> str:
    """The key of the segment of ``episode`` that was proposed to begin at step ``start``."""
    return f"{episode}-{start:04d}"


@lru_cache(maxsize=4)
def _rated(path: str, written: int) -> Mapping[str, Mapping[int, Sequence[Rating]]]:
    """By episode and proposed first step; a worker reads the file once, and again when it was written anew."""
    found: dict[str, dict[int, list[Rating]]] = defaultdict(lambda: defaultdict(list))
    for rating in read_ratings(path):
        episode, _, start = rating.segment.rpartition("-")
        if not start.isdecimal():
            raise ValueError(
                f"{path}: {rating.segment!r} is no key of a segment; expected an episode's key, a dash and a step."
            )
        found[episode][int(start)].append(rating)
    return found


def _judged(rating: Rating, segment: Segment) -> bool:
    """Whether ``segment``, which has the key that was rated, is also the segment that was seen."""
    return rating.length in (None, len(segment)) and rating.instruction in (None, segment.instruction)


def _moved(episode: Episode, segment: Segment, verdict: Verdict) -> Segment:
    start = max(0, segment.start + verdict.shift_start)
    stop = min(len(episode), segment.stop + verdict.shift_stop)
    if stop <= start:
        raise ValueError(
            f"The ratings of {segment_key(episode.key, segment.start)} move its boundaries past each other: "
            f"steps {start} to {stop}. Mend its shifts."
        )
    return replace(segment, start=start, stop=stop, proposed=segment.start, quality=verdict.quality)


def _towards_zero(shift: float) -> int:
    nearest = int(abs(shift) + 0.5 - 1e-9)
    return nearest if shift > 0 else -nearest
