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
        attempts: How often the episode was begun: more than once where a simulator's process died.
        perturbation: What the policy was disturbed by and how much, ``"gaussian_noise 25"``; "" where by nothing.
    """

    benchmark: str
    policy: str
    task: str
    group: str
    seed: int
    success: bool
    steps: int
    attempts: int = 1
    perturbation: str = ""

    @property
    def episode(self) -> tuple[str, int]:
        """What tells the episodes of one evaluation apart."""
        return self.task, self.seed


def kind_and_level(perturbation: str) -> tuple[str, float]:
    """The kind and the level of an outcome's ``perturbation``; ``("", 0.0)`` where it was disturbed by nothing."""
    kind, _, level = perturbation.rpartition(" ")
    return kind, float(level or 0)


COLUMNS = tuple(field.name for field in fields(Outcome))
OLD_COLUMNS = COLUMNS[: COLUMNS.index("attempts")]  # of tables written before attempts were counted


def outcome_row(outcome: Outcome) -> str:
    """One line of the CSV, newline included."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writerow({**asdict(outcome), "success": int(outcome.success)})
    return text.getvalue()


def header_row() -> str:
    """The first line of the CSV, newline included."""
    return ",".join(COLUMNS) + "\n"


def write_outcomes(path: str | Path, outcomes: Iterable[Outcome]) -> None:
    """Write ``outcomes`` to the CSV file ``path``, whole or not at all; success is written as 1 or 0."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = header_row() + "".join(outcome_row(outcome) for outcome in outcomes)
    with written_whole(path) as file:
        file.write(text.encode())


def read_outcomes(path: str | Path) -> list[Outcome]:
    """The inverse of :func:`write_outcomes`.

    Raises:
        ValueError: If the file has other columns, or a row that is no outcome.
    """
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) not in (COLUMNS, OLD_COLUMNS):
            raise ValueError(f"{path} has columns {reader.fieldnames}; a table of outcomes has {list(COLUMNS)}.")
        return [_parse(row, f"{path}, line {number}") for number, row in enumerate(reader, start=2)]


def _parse(row: dict[str, str | None], where: str) -> Outcome:
    words = {name: row.get(name) for name in COLUMNS if name in row}
    numbers = {name: words.get(name) for name in ("seed", "steps", "attempts") if name in words}
    if None in words.values() or None in row or words["success"] not in ("0", "1"):
        raise ValueError(f"{where}: a row has {len(words)} values and success is 0 or 1; got {row}.")
    if not all((number or "").isdigit() for number in numbers.values()):
        raise ValueError(f"{where}: seed, steps and attempts are whole numbers; got {row}.")
    whole = {name: int(number or "") for name, number in numbers.items()}
    texts = {name: str(words[name]) for name in words if name not in {*numbers, "success"}}
    return Outcome(
        benchmark=texts["benchmark"],
        policy=texts["policy"],
        task=texts["task"],
        group=texts["group"],
        seed=whole["seed"],
        success=words["success"] == "1",
        steps=whole["steps"],
        attempts=whole.get("attempts", 1),
        perturbation=texts.get("perturbation", ""),
    )
