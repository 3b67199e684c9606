"""What came out of a benchmark: one row per episode, kept as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from la4vla.data.files import written_whole


@dataclass(frozen=True)
class Outcome:
    """One episode's outcome.

    Args:
        benchmark: Name of the benchmark.
        policy: Name of the policy.
        task: Slug of the task.
        group: The group of tasks it is counted in, or "" where there are none.
        seed: Seed of the episode.
        success: Whether the task was solved.
        steps: Actions executed.
    """

    benchmark: str
    policy: str
    task: str
    group: str
    seed: int
    success: bool
    steps: int


COLUMNS = tuple(field.name for field in fields(Outcome))


def write_outcomes(path: str | Path, outcomes: Iterable[Outcome]) -> None:
    """Write ``outcomes`` to the CSV file ``path``, whole or not at all; success is written as 1 or 0."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**asdict(outcome), "success": int(outcome.success)} for outcome in outcomes)
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


def read_outcomes(path: str | Path) -> list[Outcome]:
    """The inverse of :func:`write_outcomes`.

    Raises:
        ValueError: If the file has other columns, or a row that is no outcome.
    """
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path} has columns {reader.fieldnames}; a table of outcomes has {list(COLUMNS)}.")
        return [_parse(row, f"{path}, line {number}") for number, row in enumerate(reader, start=2)]


def _parse(row: dict[str, str], where: str) -> Outcome:
    if row["success"] not in ("0", "1") or not (row["seed"].isdigit() and row["steps"].isdigit()):
        raise ValueError(f"{where}: success must be 0 or 1, seed and steps whole numbers; got {row}.")
    words = (row["benchmark"], row["policy"], row["task"], row["group"])
    return Outcome(*words, seed=int(row["seed"]), success=row["success"] == "1", steps=int(row["steps"]))
