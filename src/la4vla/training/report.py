"""The closing report of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from la4vla.models.trainer_state import run_of
from la4vla.training.run import Run


def stages(run: Run) -> list[dict[str, Any]]:
    """The provenances from the first stage of the chain to this run."""
    chain: list[dict[str, Any]] = []
    provenance = run.provenance()
    while provenance is not None:
        chain.insert(0, provenance)
        predecessor = provenance.get("predecessor")
        path = run_of(Path(predecessor)) / "provenance.json" if predecessor else None
        provenance = json.loads(path.read_text()) if path and path.exists() else None
    return chain


def run_table(run: Run) -> Table:
    """One row per stage that led to this policy: data, steps, batch, speed, loss."""
    table = Table(title=f"{run.folder.name}: how this policy was trained", title_justify="left")
    for name in ("stage", "sources", "steps", "batch", "samples/s", "data wait", "loss"):
        told = name in ("stage", "sources")
        table.add_column(name, justify="left" if told else "right", no_wrap=not told, overflow="fold")
    for stage in stages(run):
        results = stage.get("results", {})
        table.add_row(
            stage["name"],
            ", ".join(f"{k} ({v['vision']})" for k, v in stage["sources"].items()),
            f"{results.get('steps', 0):,}",
            str(stage["effective_batch"]),
            f"{results.get('samples_per_s', 0):,.0f}",
            f"{100 * results.get('data_wait_share', 0):.1f} %",
            f"{results.get('loss', float('nan')):.4f}",
        )
    return table
