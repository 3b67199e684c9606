"""Many policies in one Markdown table, laid out as the paper's: a row each, a column for each group or task."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from la4vla.evaluation.episode_sets import check_same_episodes
from la4vla.evaluation.runs import EvaluatedRun
from la4vla.evaluation.success import SuccessRate, Summary, summarize

Columns = Literal["groups", "tasks"]


@dataclass(frozen=True)
class Row:
    """One policy's row.

    Args:
        policy: Name of the policy.
        pretraining: What it began from, or None.
        runs: Summaries of its runs, one for each seed of training.
        whole: The summary of all of them together.
    """

    policy: str
    pretraining: str | None
    runs: tuple[Summary, ...]
    whole: Summary

    def rates(self, columns: Columns) -> Mapping[str, SuccessRate]:
        """Rates by column; by task where tasks have no groups."""
        return self.whole.groups if columns == "groups" and self.whole.groups else self.whole.tasks

    def average(self, columns: Columns) -> float:
        """Mean over the columns, each weighing the same, as the paper averages; in [0, 1]."""
        return _mean(self.rates(columns))

    def spread(self, columns: Columns) -> float | None:
        """Standard deviation of :meth:`average` over runs, or None for a single one."""
        if len(self.runs) < 2:
            return None
        by_run = [Row(self.policy, None, (run,), run).average(columns) for run in self.runs]
        return statistics.stdev(by_run)


def rows_of(runs: Sequence[EvaluatedRun]) -> list[Row]:
    """One row for each policy, in order of appearance; runs of one name are its seeds.

    Raises:
        ValueError: If the runs are not all of the same episodes.
    """
    check_same_episodes(runs)
    named: dict[str, list[EvaluatedRun]] = {}
    for run in runs:
        named.setdefault(run.policy, []).append(run)
    rows = []
    for policy, mine in named.items():
        whole = summarize(outcome for run in mine for outcome in run.outcomes)
        pretraining = next((run.pretraining for run in mine if run.pretraining), None)
        rows.append(Row(policy, pretraining, tuple(summarize(run.outcomes) for run in mine), whole))
    return rows


def paper_table(rows: Sequence[Row], columns: Columns = "groups") -> str:
    """The layout of the paper's Table 4 (``columns="groups"``) or Tables 5 and 6 (``"tasks"``), and what those lack.

    Rates are percentages; ``Avg.`` is the mean over columns and ``Gain`` its difference to the first row, in points.
    ``Pooled`` is over all episodes, with its 95 % Wilson interval; ``s.d.`` is that of the average over runs.

    Raises:
        ValueError: If the rows do not have the same columns.
    """
    names = list(rows[0].rates(columns))
    for row in rows:
        if set(row.rates(columns)) != set(names):
            raise ValueError(
                f"{rows[0].policy} was evaluated on {', '.join(names)}, {row.policy} on "
                f"{', '.join(row.rates(columns))}: only equal {columns} fit into one table."
            )
    spreads = any(len(row.runs) > 1 for row in rows)
    headings = ["Model", "Pretrain", *map(_title, names), "Avg.", *(["s.d."] if spreads else []), "Gain"]
    headings += ["Pooled", "95 % interval", "Episodes"]
    lines = [headings, ["---", "---", *["---:"] * (len(headings) - 2)]]
    lines += [_cells(row, names, columns, rows[0].average(columns), spreads) for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cells(row: Row, names: Sequence[str], columns: Columns, baseline: float, spreads: bool) -> list[str]:
    rates, average, pooled = row.rates(columns), row.average(columns), row.whole.pooled
    spread = row.spread(columns)
    low, high = pooled.interval
    return [
        row.policy,
        row.pretraining or "–",
        *(f"{100 * rates[name].rate:.1f}" for name in names),
        f"{100 * average:.2f}",
        *([f"{100 * spread:.2f}" if spread is not None else "–"] if spreads else []),
        f"{100 * (average - baseline):+.2f}",
        f"{100 * pooled.rate:.1f}",
        f"{100 * low:.1f} – {100 * high:.1f}",
        f"{pooled.episodes}" + (f" ({len(row.runs)} runs)" if len(row.runs) > 1 else ""),
    ]


def _mean(rates: Mapping[str, SuccessRate]) -> float:
    return sum(rate.rate for rate in rates.values()) / len(rates)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
