"""Tables of measurements as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from la4vla.data.files import written_whole


def write_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Writes ``rows``, all of the same columns, under a header line, as a whole or not at all."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with written_whole(path) as file:
        file.write(table.getvalue().encode())
