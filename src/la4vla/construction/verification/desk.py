"""The desk at which annotators work: who sees what, what they said, and how far all have come."""

from __future__ import annotations

import secrets
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from la4vla.construction.agreement import Agreement
from la4vla.construction.rating import Rating
from la4vla.construction.retention import mean_qualities
from la4vla.construction.verification.assignment import assign, doubly_assigned
from la4vla.construction.verification.footage import Clip, Footage
from la4vla.construction.verification.settings import Settings
from la4vla.construction.verification.store import RatingStore, now
from la4vla.schema.primitives import DEFINITIONS

# A boundary is moved by about this much at a press: finer than anyone sees, and yet a few presses cross a mistake.
NUDGE_S = 0.05


class Desk:
    """Footage, ratings and assignment together; its methods may be called from several threads.

    Args:
        footage: The segments.
        store: Their ratings.
        settings: Annotators, share of double rating, seed, threshold.

    Raises:
        ValueError: If annotators or the share are no good.
    """

    def __init__(self, footage: Footage, store: RatingStore, settings: Settings) -> None:
        self.footage, self.store, self.settings = footage, store, settings
        self.tokens = {name: store.token(name) for name in settings.annotators}
        self.doubles = doubly_assigned(footage.records, settings.double_share, settings.seed)
        self._lock = threading.Lock()
        self._progress: tuple[tuple[int, int], dict[str, Any]] | None = None
        rated: dict[str, set[str]] = {}
        self.strays = 0
        for rating in store.ratings():
            if self._stray(rating):
                self.strays += 1
            else:
                rated.setdefault(rating.segment, set()).add(rating.annotator)
        self.queues = assign(footage.records, settings.annotators, settings.double_share, settings.seed, rated)

    def sign_in(self, name: str, token: str) -> None:
        """Let ``name`` in.

        Raises:
            PermissionError: If nobody of that name rates here, or the token is another one.
        """
        if name not in self.tokens:
            raise PermissionError(f"Nobody called {name!r} rates here; the annotators are {', '.join(self.tokens)}.")
        if not secrets.compare_digest(self.tokens[name].encode(), token.encode()):
            raise PermissionError(f"That is not {name}'s token; open the link that the program printed for {name}.")

    def annotator(self, token: str) -> str:
        """Who holds ``token``.

        Raises:
            PermissionError: If nobody does who rates here.
        """
        name = self.store.holder(token)
        if name not in self.tokens:
            raise PermissionError("That token is nobody's here; sign in again with the link that the program printed.")
        return str(name)

    def facts(self, name: str) -> dict[str, Any]:
        """What the page of annotator ``name`` needs before the first clip: the set, the queue, what is rated."""
        body = self.footage.embodiment
        return {
            "annotator": name,
            "set": str(Path(*self.footage.segments.folder.parts[-2:])),
            "cameras": list(self.footage.cameras),
            "control_hz": body.control_hz,
            "nudge_steps": max(1, round(NUDGE_S * body.control_hz)),
            "primitives": {str(primitive): definition.meaning for primitive, definition in DEFINITIONS.items()},
            "queue": self.queues[name],
            "ratings": {
                rating.segment: {"request": request, **asdict(rating)}
                for request, rating in self.store.requests(name)
                if not self._stray(rating)
            },
        }

    def clip(self, key: str) -> Clip:
        """The clip of segment ``key``.

        Raises:
            LookupError: If there is none.
        """
        return self.footage.clip(key)

    def rate(self, name: str, request: str, values: dict[str, Any], replaces: str | None) -> dict[str, Any] | None:
        """Keep a rating by ``name``; it is on disk when this returns.

        Args:
            name: The annotator.
            request: Number of the rating, which is kept once.
            values: The rating.
            replaces: Number of the annotator's rating of this segment that counted as far as the page knew, or None.

        Returns:
            The annotator's rating of this segment that the page did not know of, given in another tab or on another
            device, and under ``counts`` whether that one counts; None where there is none.

        Raises:
            LookupError: If there is no such segment.
            ValueError: If a score is out of range, the boundaries would leave what is recorded or pass each other, or
                another segment was shown than the one that has this key now.
        """
        rating = Rating.from_json({**values, "annotator": name, "rated_at": now()})
        clip = self.clip(rating.segment)
        if self._stray(rating):
            raise ValueError(
                f"The segment {rating.segment} is another one now than the one that was rated: reload the page and "
                "rate it anew."
            )
        start, stop = clip.start + rating.shift_start, clip.stop + rating.shift_stop
        if not clip.first <= start < stop <= clip.last:
            raise ValueError(
                f"Boundaries must lie in steps {clip.first} to {clip.last}, the start before the end; got {start} and "
                f"{stop}."
            )
        known = replace(rating, length=clip.stop - clip.start, instruction=clip.info.instruction)
        self.store.add(known, request)
        other = self.store.meanwhile(request, replaces)
        return None if other is None else {"request": other[0], **asdict(other[1]), "counts": other[2]}

    def merge(self, ratings: list[Rating]) -> int:
        """Add ratings from elsewhere, all or none, and return how many were added.

        Raises:
            LookupError: If one is of a segment that is not in the set, or no longer the one that was rated.
        """
        for rating in ratings:
            if self._stray(rating):
                raise LookupError(
                    f"{rating.annotator} rated {rating.segment}, which is no segment of {self.footage.segments.folder} "
                    "or another one now; nothing was imported."
                )
        return self.store.merge(ratings)

    def progress(self) -> dict[str, Any]:
        """How far all have come: by annotator, over all, agreement and retention so far."""
        with self._lock:
            version = self.store.version()
            if self._progress is None or self._progress[0] != version:
                self._progress = version, self._counted()
            return self._progress[1]

    def _counted(self) -> dict[str, Any]:
        ratings = [rating for rating in self.store.ratings() if not self._stray(rating)]
        by: dict[str, set[str]] = {name: set() for name in self.queues}
        for rating in ratings:
            by.setdefault(rating.annotator, set()).add(rating.segment)
        qualities = mean_qualities(ratings).values()
        retained = sum(quality >= self.settings.least_quality for quality in qualities)
        return {
            "annotators": {
                n: {"rated": len(by[n].intersection(q)), "assigned": len(q)} for n, q in self.queues.items()
            },
            "total": len(self.footage.records),
            "to_rate_twice": len(self.doubles),
            "retained": retained,
            **asdict(Agreement.of(ratings)),
        }

    def _stray(self, rating: Rating) -> bool:
        """Whether a rating is of a segment that this set does not hold, or holds otherwise."""
        row = self.footage.records.get(rating.segment)
        if row is None:
            return True
        steps = int(self.footage.segments.starts[row + 1] - self.footage.segments.starts[row])
        words = self.footage.segments.records[row].instruction
        return rating.length not in (None, steps) or rating.instruction not in (None, words)
