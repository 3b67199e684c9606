"""Direction metrics as a table, one row per condition as in Tables 1 and 7 of the paper."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

Cells = tuple[str, ...]
HEADINGS: Cells = ("condition", "cases", "DAR", "95 % interval", "DCS", "SR", "SS")


def table(results: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """A rich table of what :meth:`~la4vla.diagnostics.conditions.DirectionFollowing.run` returned."""
    drawn = Table(title=title)
    for index, heading in enumerate(HEADINGS):
        drawn.add_column(heading, justify="right" if index else "left", no_wrap=bool(index), overflow="fold")
    for condition, metrics in results.items():
        drawn.add_row(*_cells(condition, metrics))
    return drawn


def markdown(results: Mapping[str, Mapping[str, float]], title: str) -> str:
    """The same rows as a Markdown section."""
    rule = ("---", *["---:"] * (len(HEADINGS) - 1))
    rows = [HEADINGS, rule, *(_cells(condition, metrics) for condition, metrics in results.items())]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(cells)} |" for cells in rows), ""])


def _cells(condition: str, metrics: Mapping[str, float]) -> Cells:
    rate = "directional_alignment_rate"
    separations = (metrics.get("separability_ratio"), metrics.get("silhouette_score"))
    return (
        condition.replace("_", " "),
        f"{metrics['cases']:.0f}",
        f"{metrics[rate]:.2f}",
        f"{metrics[f'{rate}_low']:.2f} - {metrics[f'{rate}_high']:.2f}",
        f"{metrics['direction_consistency_score']:.2f}",
        *("-" if value is None else f"{value:.2f}" for value in separations),
    )
