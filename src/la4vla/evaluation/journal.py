"""The folder of one evaluation, written as it goes, so that nothing finished is ever lost."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from la4vla.data.files import written_whole
from la4vla.data.hold import hold
from la4vla.evaluation.outcomes import COLUMNS, Outcome, header_row, outcome_row, read_outcomes, write_outcomes


class Journal:
    """``evaluation.json``, what is evaluated, and ``outcomes.csv``, one row per finished episode.

    A row is on disk before the next episode is taken in. A folder left by an interrupted evaluation is gone on with: a
    last line that broke off is dropped, and its episode played again.

    Args:
        folder: Made where missing.
        settings: All that decides the outcomes, as plain JSON values.
        facts: What else is worth knowing; kept from the first sitting, and decides nothing.

    Attributes:
        finished: Whether the folder was marked as finished when it was opened.

    Raises:
        ValueError: If the folder holds an evaluation with other settings, rows of none, or is being written to.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.settings = json.loads(json.dumps(settings))
        self.outcomes: dict[tuple[str, int], Outcome] = {}
        self.finished = False
        self._table = self.folder / "outcomes.csv"
        self._facts = {"started": _now(), **(facts or {})}

    def append(self, outcome: Outcome) -> None:
        """Add one finished episode.

        Raises:
            OSError: If the disk is full.
        """
        try:
            self._file.write(outcome_row(outcome).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            message = f"The disk filled up while adding an episode to {self._table}; free some space and run again."
            raise OSError(error.errno, message) from error
        self.outcomes[outcome.episode] = outcome

    def finish(self, outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> None:
        """Put the rows into the order of ``outcomes`` and mark the evaluation as finished."""
        write_outcomes(self._table, outcomes)
        self._describe({**self._facts, **facts, "finished": _now()})

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check()
        self._file = open(self._table, "ab")  # closed on exit
        try:
            self._release = hold(self._table, wait=False)
        except BlockingIOError:
            self._file.close()
            raise ValueError(f"{self.folder} is being written to by another evaluation; wait for it.") from None
        self._mend()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._file.close()
        self._release()
        if error is not None:
            kept = f"{len(self.outcomes)} finished episodes are kept in {self.folder}"
            Console(stderr=True, soft_wrap=True).print(f"{kept}; the same command goes on from there.", highlight=False)

    def _check(self) -> None:
        path = self.folder / "evaluation.json"
        if not path.exists():
            if self._table.exists():
                raise ValueError(
                    f"{self._table} is of an unknown evaluation: there is no {path.name}; name another folder."
                )
            self._describe(self._facts)
            return
        told = json.loads(path.read_text())
        if told["settings"] != self.settings:
            difference = _difference(told["settings"], self.settings)
            raise ValueError(
                f"{self.folder} holds an evaluation with other settings ({difference}). Name another folder "
                "(folder=...), or delete this one."
            )
        self.finished = "finished" in told
        self._facts = {key: value for key, value in told.items() if key not in ("settings", "finished")}

    def _mend(self) -> None:
        """Drop what an interruption left half written, and read the rest; whole rows never leave the disk."""
        written = self._table.read_bytes()
        lines = written[: written.rfind(b"\n") + 1].splitlines(keepends=True)
        if lines and not _is_row(lines[-1]):
            del lines[-1]
        whole = b"".join(lines) or header_row().encode()
        if whole != written:
            kept = len(whole) if written.startswith(whole) else 0  # 0: not even the header was whole
            self._file.truncate(kept)
            self._file.write(whole[kept:])
            self._file.flush()
            os.fsync(self._file.fileno())
        for outcome in read_outcomes(self._table):
            self.outcomes[outcome.episode] = outcome

    def _describe(self, facts: Mapping[str, Any]) -> None:
        with written_whole(self.folder / "evaluation.json") as file:
            file.write((json.dumps({"settings": self.settings, **facts}, indent=2) + "\n").encode())


def _is_row(line: bytes) -> bool:
    text = line.decode(errors="replace")
    return "\0" not in text and len(next(csv.reader([text]))) == len(COLUMNS)


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    keys = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    told = [f"{key}: {_short(there.get(key))} there, {_short(here.get(key))} here" for key in keys[:3]]
    return "; ".join(told) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
