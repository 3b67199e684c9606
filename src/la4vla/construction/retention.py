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
        length: Steps of the segment that was judged, where known.
        instruction: Its instruction, where known.
    """

    quality: float
    shift_start: int
    shift_stop: int
    length: int | None
    instruction: str | None

    def judged(self, segment: Segment) -> bool:
        """Whether ``segment``, which has the key that was rated, is also the segment that was seen."""
        return self.length in (None, len(segment)) and self.instruction in (None, segment.instruction)


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
        verdicts = dict(_verdicts(self.path, Path(self.path).stat().st_mtime_ns).get(episode.key, {}))
        kept: list[Segment] = []
        for segment in segments:
            verdict = verdicts.get(segment.start)
            if verdict is None or not verdict.judged(segment):
                dropped["not rated"] += 1
                continue
            del verdicts[segment.start]
            if verdict.quality < self.least_quality:
                dropped[f"quality below {self.least_quality:g}"] += 1
                continue
            kept.append(moved := _moved(episode, segment, verdict))
            phases["verified"] += 1
            phases["verified_frames"] += len(moved)
        if not verdicts:
            return kept, []
        dropped["ratings of other segments"] += len(verdicts)
        keys = ", ".join(segment_key(episode.key, start) for start in sorted(verdicts))
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
            length=next((r.length for r in each if r.length is not None), None),
            instruction=next((r.instruction for r in each if r.instruction is not None), None),
        )
        for segment, each in by_segment.items()
    }


def segment_key(episode: str, start: int) -> str:
    """The key of the segment of ``episode`` that was proposed to begin at step ``start``."""
    return f"{episode}-{start:04d}"


@lru_cache(maxsize=4)
def _verdicts(path: str, written: int) -> Mapping[str, Mapping[int, Verdict]]:
    """By episode and proposed first step; a worker reads the file once, and again when it was written anew."""
    found: dict[str, dict[int, Verdict]] = defaultdict(dict)
    for key, verdict in verdicts_of(read_ratings(path)).items():
        episode, _, start = key.rpartition("-")
        if not start.isdecimal():
            raise ValueError(f"{path}: {key!r} is no key of a segment; expected an episode's key, a dash and a step.")
        found[episode][int(start)] = verdict
    return found


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
