"""What one person said of one segment (LA4VLA, section 7.6), and ratings as lines of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from la4vla.data.files import written_whole

QUALITIES = range(4)
CONFIDENCES = range(3)


@dataclass(frozen=True, kw_only=True)
class Rating:
    """One judgment.

    Args:
        segment: Key of the segment's record.
        annotator: Who judged.
        quality: From 0 (unusable) to 3 (high), of the segment with the boundaries moved as said here (Table 9).
        confidence: From 0 (low) to 2 (high); reported, never used to filter (Table 10).
        shift_start: Steps by which the first step should move, negative for earlier.
        shift_stop: Likewise for the end.
        note: Anything else.
        rated_at: When, in UTC, as ISO 8601.
        length: How many steps the segment had that was shown, or None where that is not known.
        instruction: The instruction that was shown, likewise. The two tell whether a segment of that key is still the
            one that was judged.
        watched_ms: How long the clip was in sight before, in milliseconds, or None where that is not recorded.
        passes: The same counted in passes from start to end at the speeds it was shown at; below 1 the judgment was
            given in less time than seeing the clip once takes.

    Raises:
        ValueError: If a score is out of range or a field is of another kind.
    """

    segment: str
    annotator: str
    quality: int
    confidence: int
    shift_start: int = 0
    shift_stop: int = 0
    note: str = ""
    rated_at: str = ""
    length: int | None = None
    instruction: str | None = None
    watched_ms: int | None = None
    passes: float | None = None

    def __post_init__(self) -> None:
        for name in ("segment", "annotator"):
            if not isinstance(value := getattr(self, name), str) or not value:
                raise ValueError(f"{name} must be a name, got {value!r}.")
        for name, scores in (("quality", QUALITIES), ("confidence", CONFIDENCES)):
            if not _whole(value := getattr(self, name)) or value not in scores:
                raise ValueError(f"{name} must be a whole number from 0 to {scores[-1]}, got {value!r}.")
        for name in ("shift_start", "shift_stop"):
            if not _whole(value := getattr(self, name)):
                raise ValueError(f"{name} must be a whole number of steps, got {value!r}.")
        if not all(isinstance(text, str) for text in (self.note, self.rated_at, self.instruction or "")):
            raise ValueError("note, rated_at and instruction must be text.")
        if self.length is not None and (not _whole(self.length) or self.length < 1):
            raise ValueError(f"length must be a number of steps, got {self.length!r}.")
        if self.watched_ms is not None and (not _whole(self.watched_ms) or self.watched_ms < 0):
            raise ValueError(f"watched_ms must be a whole number of milliseconds, got {self.watched_ms!r}.")
        number = isinstance(self.passes, int | float) and not isinstance(self.passes, bool)
        if self.passes is not None and not (number and 0 <= self.passes < inf):
            raise ValueError(f"passes must be a number from 0, got {self.passes!r}.")

    @classmethod
    def from_json(cls, values: Any) -> Rating:
        """A rating from plain JSON values.

        Raises:
            ValueError: If a field is missing, unknown or out of range.
        """
        known = [f.name for f in fields(cls)]
        if not isinstance(values, dict):
            raise ValueError(f"expected an object of {', '.join(known)}, got {values!r}.")
        if unknown := sorted(values.keys() - set(known)):
            raise ValueError(f"unknown field {unknown[0]!r}; the fields are {', '.join(known)}.")
        if missing := [name for name in known[:4] if name not in values]:
            raise ValueError(f"field {missing[0]!r} is missing.")
        return cls(**values)


def read_ratings(path: str | Path) -> list[Rating]:
    """The ratings in a JSONL file, one object a line; empty lines are passed over.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is no rating, or rates what one before it rated; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of ratings {path}.")
    ratings: list[Rating] = []
    lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            rating = Rating.from_json(json.loads(line))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}, line {number} is not valid JSON: {error}") from error
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is no rating: {error}") from error
        first = lines.setdefault((rating.segment, rating.annotator), number)
        if first != number:
            raise ValueError(
                f"{path}, line {number}: {rating.annotator} rates {rating.segment} there and in line {first}; "
                "keep one of the two."
            )
        ratings.append(rating)
    return ratings


def write_ratings(path: str | Path, ratings: Iterable[Rating]) -> None:
    """Write ratings as JSONL, ordered by segment and annotator, so that equal ratings give equal bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(ratings, key=lambda rating: (rating.segment, rating.annotator))
    with written_whole(path) as file:
        file.writelines((json.dumps(asdict(rating), ensure_ascii=False) + "\n").encode() for rating in ordered)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
