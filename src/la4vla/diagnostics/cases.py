"""Direction-following cases: the starts of held-out segments whose instruction commands a direction."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np

from la4vla.data.shards import RecordInfo, Shards
from la4vla.schema.embodiment import Embodiment

OPPOSITE = -0.5  # cosine below which two directions count as opposite, that is more than 120 degrees apart
CANDIDATES = 64


class DirectionCases:
    """A seeded choice of cases, balanced over tasks and, within a task, over directions.

    Args:
        shards: Held-out segments with direction words, with frames or without.
        cases: How many; all there are where there are fewer.
        seed: Of the choice.

    Attributes:
        records: ``(N,)`` int64: the record each case is the start of.
        rows: ``(N,)`` int64: row of ``shards.actions`` at which it starts: the record's first step, or, in a set with
            frames, the first that has one.
        lengths: ``(N,)`` int64: steps of the record from there on.
        canonical: ``(N, 3)``: the unit vector the instruction commands, the normalised sum of its direction words.
        labels: ``(N,)`` int64: equal where the same direction is commanded.
        words: The direction words behind each label.
        translation: The three dimensions of the actions that hold translational increments.

    Raises:
        ValueError: If fewer than two directions are commanded in ``shards``, or their embodiment does not tell which
            way an action leads.
    """

    def __init__(self, shards: Shards, cases: int = 100, seed: int = 0) -> None:
        self.shards = shards
        body = shards.manifest.domain.embodiment
        self.translation = _increments(body)
        random = np.random.default_rng(seed)
        unit = {
            record: direction
            for record, info in enumerate(shards.records)
            if (direction := commanded(body, info.directions)) is not None
        }
        self._pool = np.array(sorted(unit), dtype=np.int64)
        labels = {record: tuple(sorted(set(shards.records[record].directions))) for record in unit}
        self.words = sorted(set(labels.values()))
        if len(self.words) < 2:
            raise ValueError(
                f"Direction following needs segments of at least two directions; {shards.folder} commands "
                f"{self.words or 'none'}. Take a set whose records carry direction words."
            )
        order = {record: (shards.records[record].task, labels[record]) for record in unit}
        self.records = np.array(_balanced(order, random)[:cases], dtype=np.int64)
        self.canonical = np.stack([unit[record] for record in self.records.tolist()])
        self.labels = np.array([self.words.index(labels[record]) for record in self.records.tolist()])
        self.rows = self.start_rows(self.records)
        self.lengths = shards.starts[self.records + 1] - self.rows

    def __len__(self) -> int:
        return len(self.records)

    @property
    def tasks(self) -> list[str]:
        """The task of each case."""
        return [self.shards.records[record].task for record in self.records.tolist()]

    def start_rows(self, records: np.ndarray) -> np.ndarray:
        """Row of ``shards.actions`` at which a case made of each of ``records`` starts."""
        rows: np.ndarray = self.shards.starts[records]
        if len(self.shards.frame_steps):
            rows = rows + self.shards.frame_steps[self.shards.frame_starts[records]]
        return rows

    def opposites(self, seed: int = 0) -> np.ndarray:
        """``(N,)``: for each case a record that moves the opposite way, or -1 where there is none.

        It is the one of 64 drawn records whose demonstrated displacement has the least cosine with the direction
        commanded; where even that cosine is not below -0.5, all records are searched.
        """
        moved = self._moved_units()
        random = np.random.default_rng(seed)
        found = [self._opposite(direction, moved, random) for direction in self.canonical]
        return np.array(found, dtype=np.int64)

    def strangers(self, seed: int = 0) -> np.ndarray:
        """``(N,)``: for each case another record of the same task, commanding another direction; -1 where none is."""
        random = np.random.default_rng(seed)
        by_task: dict[str, list[int]] = defaultdict(list)
        for record in self._pool.tolist():
            by_task[self.shards.records[record].task].append(record)
        found = [self._stranger(record, by_task, random) for record in self.records.tolist()]
        return np.array(found, dtype=np.int64)

    def _stranger(self, record: int, by_task: dict[str, list[int]], random: np.random.Generator) -> int:
        own = self.shards.records[record]
        others = [other for other in by_task[own.task] if not _same_direction(self.shards.records[other], own)]
        return int(random.choice(others)) if others else -1

    def _opposite(self, direction: np.ndarray, moved: np.ndarray, random: np.random.Generator) -> int:
        drawn = random.choice(len(self._pool), size=min(CANDIDATES, len(self._pool)), replace=False)
        for candidates in (drawn, np.arange(len(self._pool))):
            cosines = moved[candidates] @ direction
            if cosines.min() < OPPOSITE:
                return int(self._pool[candidates[cosines.argmin()]])
        return -1

    def _moved_units(self) -> np.ndarray:
        """``(P, 3)``: the direction in which each record of the pool moves, or zero where it does not."""
        translations = self.shards.manifest.domain.embodiment.translation_of(self.shards.actions)
        sums = np.add.reduceat(translations, self.shards.starts[:-1])
        moved: np.ndarray = sums[self._pool]
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        return moved / np.where(norms > 0, norms, 1.0)


def _increments(body: Embodiment) -> tuple[int, ...]:
    """The dimensions of the actions whose sum is a way that is gone."""
    body.require("Direction following", "translation", "forward", "left", "up")
    if body.action_form == "absolute":
        raise ValueError(
            f"Direction following sums increments, and the actions of embodiment {body.name} are absolute: build the "
            "segments with increments as actions (deltas of the reader)."
        )
    return tuple(body.translation or ())


def commanded(embodiment: Embodiment, words: Sequence[str]) -> np.ndarray | None:
    """The unit vector ``(3,)`` that direction words command together; None where they command none, or cancel out."""
    total = np.sum([embodiment.direction(word) for word in set(words)], axis=0) if words else np.zeros(3)
    norm = float(np.linalg.norm(total))
    return total / norm if norm > 1e-6 else None


def _same_direction(one: RecordInfo, other: RecordInfo) -> bool:
    return set(one.directions) == set(other.directions)


def _balanced(order: dict[int, tuple[str, tuple[str, ...]]], random: np.random.Generator) -> list[int]:
    """All records, dealt out one task after the other and, within a task, one direction after the other."""
    piles: dict[str, dict[tuple[str, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for record in random.permutation(sorted(order)).tolist():
        task, label = order[record]
        piles[task][label].append(record)
    return _dealt([_dealt(list(directions.values())) for _, directions in sorted(piles.items())])


def _dealt(piles: list[list[int]]) -> list[int]:
    """One of each pile in turn, until all are empty."""
    queues = deque(deque(pile) for pile in piles)
    dealt = []
    while queues:
        queue = queues.popleft()
        dealt.append(queue.popleft())
        if queue:
            queues.append(queue)
    return dealt
