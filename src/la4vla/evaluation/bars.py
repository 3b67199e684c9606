"""Success of several policies as bars with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

from la4vla.data.files import written_whole
from la4vla.evaluation.paper_table import Row
from la4vla.evaluation.robustness import COLOURS
from la4vla.evaluation.success import Summary

Bar = tuple[float, float, float]  # rate and the ends of its interval, in percent


def plot_bars(path: str | Path, rows: Sequence[Row], title: str) -> Path:
    """Draw groups, mean of groups and pooled rate of every row into the PNG ``path``, with 95 % intervals.

    Intervals are Wilson's, that of the mean of groups is put together from the groups' own. Benchmarks without
    groups show the pooled rate alone.
    """
    named = [(row.policy, _bars(row.whole)) for row in rows]
    labels = list(named[0][1])
    width = 0.8 / len(named)
    figure = Figure(figsize=(max(5.0, 1.2 + 0.32 * len(labels) * (1 + len(named))), 4.0), layout="constrained", dpi=130)
    axes = figure.subplots()
    for index, (policy, bars) in enumerate(named):
        places = [place + (index - (len(named) - 1) / 2) * width for place in range(len(labels))]
        rates = [bars[label][0] for label in labels]
        below = [bars[label][0] - bars[label][1] for label in labels]
        above = [bars[label][2] - bars[label][0] for label in labels]
        axes.bar(places, rates, 0.9 * width, color=COLOURS[index % len(COLOURS)], label=policy)
        axes.errorbar(places, rates, [below, above], fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
    axes.set_xticks(range(len(labels)), [fill(label.replace("_", " "), 10) for label in labels])
    axes.set_ylim(0, 103)  # room for the end of an interval at 100
    axes.set_ylabel("success rate (%)")
    axes.set_title(title, fontsize=11)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=min(len(named), 5), fontsize=9)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        figure.savefig(file, format="png")
    return path


def _bars(summary: Summary) -> dict[str, Bar]:
    bars: dict[str, Bar] = {}
    for name, rate in summary.groups.items():
        low, high = rate.interval
        bars[name] = (100 * rate.rate, 100 * low, 100 * high)
    if summary.groups:
        low, high = summary.group_mean_interval
        bars["mean of groups"] = (100 * summary.group_mean, 100 * low, 100 * high)
    low, high = summary.pooled.interval
    bars["pooled"] = (100 * summary.pooled.rate, 100 * low, 100 * high)
    return bars
