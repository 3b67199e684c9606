"""What became of every episode: segmented or failed, why, and what it cost."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from la4vla.construction.vlm.bill import Price, Usage, bill_line
from la4vla.data.files import written_whole

LISTED = 20


@dataclass(frozen=True)
class Entry:
    """One episode.

    Args:
        key: The episode's key.
        failure: Why it was not segmented, in a sentence; None where it was.
        segments: Segments kept.
        usage: What its answers cost, whenever they were paid.
        answers: Hashes of what was asked, in order; they name the files of the answers.
        violations: Per segment whose instruction broke a rule: start, primitive, the instruction, what was wrong, and
            what is kept (None: the segment was left out).
    """

    key: str
    failure: str | None
    segments: int
    usage: Usage
    answers: list[str]
    violations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Ledger:
    """The entries of all episodes, one file each in ``folder``, so that processes never write the same one."""

    folder: Path

    def write(self, entry: Entry) -> None:
        """Keep ``entry`` in place of what was known of that episode."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self.folder / f"{entry.key}.json") as file:
            file.write(json.dumps(asdict(entry), indent=1).encode())

    def entries(self) -> list[Entry]:
        """All entries by key."""
        loaded = [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.json"))]
        return [Entry(**{**fields, "usage": Usage(**fields["usage"])}) for fields in loaded]

    def lines(self, price: Price | None) -> list[str]:
        """The account of all episodes in print; the first failures are listed one by one."""
        entries = self.entries()
        if not entries:
            return []
        failed = [entry for entry in entries if entry.failure is not None]
        usage = sum((entry.usage for entry in entries), Usage())
        broken = Counter(rule for entry in entries for v in entry.violations for rule in v["rules"])
        lines = [
            f"{len(entries) - len(failed)} episodes segmented, {len(failed)} failed, {usage.answers} answers: "
            + bill_line(usage, len(entries), price)
        ]
        if broken:
            lines.append("instruction rules broken: " + ", ".join(f"{n} × {rule}" for rule, n in broken.most_common()))
        lines += [f"failed: {entry.key}: {entry.failure}" for entry in failed[:LISTED]]
        if len(failed) > LISTED:
            lines.append(f"... and {len(failed) - LISTED} more, each in its file in {self.folder}")
        return lines
