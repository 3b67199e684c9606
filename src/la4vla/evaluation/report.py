"""Success rates as a table, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from la4vla.evaluation.success import SuccessRate, Summary

Cells = tuple[str, str, str, str]
HEADINGS: Cells = ("", "successes", "rate", "95 % interval")


def table(summary: Summary, title: str) -> Table:
    """A rich table: a row for each task, for each group, and for both means."""
    drawn = Table(title=title)
    for index, heading in enumerate(HEADINGS):
        drawn.add_column(heading, justify="right" if index else "left", no_wrap=bool(index), overflow="fold")
    for section in _sections(summary):
        for cells in section:
            drawn.add_row(*cells)
        drawn.add_section()
    return drawn


def markdown(summary: Summary, title: str) -> str:
    """The same rows as a Markdown section."""
    rows = [HEADINGS, ("---", "---:", "---:", "---:"), *(cells for section in _sections(summary) for cells in section)]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(cells)} |" for cells in rows), ""])


def _sections(summary: Summary) -> Iterator[list[Cells]]:
    yield [_cells(task, rate) for task, rate in summary.tasks.items()]
    if not summary.groups:
        yield [_cells("pooled", summary.pooled)]
        return
    yield [_cells(group, rate) for group, rate in summary.groups.items()]
    low, high = summary.group_mean_interval
    yield [
        _cells("pooled", summary.pooled),
        ("mean of groups", "", f"{summary.group_mean:.1%}", f"{low:.1%} - {high:.1%}"),
    ]


def _cells(label: str, rate: SuccessRate) -> Cells:
    low, high = rate.interval
    return label, f"{rate.successes}/{rate.episodes}", f"{rate.rate:.1%}", f"{low:.1%} - {high:.1%}"
