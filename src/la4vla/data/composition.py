"""What the records of a set are: primitives, directions, tasks and lengths, counted in passing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from la4vla.data.record import RecordInfo


@dataclass(frozen=True)
class Composition:
    """Counts of records; they can be added, whatever the order.

    Args:
        primitives: By primitive, records.
        primitive_steps: By primitive, steps.
        directions: By direction word, records whose instruction commands it; one that commands two counts under both.
        tasks: By task, records.
        lengths: By number of steps, as text, records.
    """

    primitives: Mapping[str, int] = field(default_factory=dict)
    primitive_steps: Mapping[str, int] = field(default_factory=dict)
    directions: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[tuple[RecordInfo, int]]) -> Composition:
        """That of records, each with its number of steps."""
        primitives, steps, directions, tasks, lengths = (Counter[str]() for _ in range(5))
        for info, length in records:
            if info.primitive is not None:
                primitives[str(info.primitive)] += 1
                steps[str(info.primitive)] += length
            directions.update(map(str, info.directions))
            tasks[info.task] += 1
            lengths[str(length)] += 1
        return cls(*(dict(counts) for counts in (primitives, steps, directions, tasks, lengths)))

    def __add__(self, other: Composition) -> Composition:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Composition(*(_sum(one, another) for one, another in pairs))


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Sums, in the order of the names, so that equal counts have equal bytes."""
    whole = Counter(one) + Counter(other)
    return {name: whole[name] for name in sorted(whole)}
