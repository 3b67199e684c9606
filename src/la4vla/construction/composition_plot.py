"""What a set holds, as a picture: primitives, lengths and directions of segments, or tasks and lengths of episodes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from la4vla.data.composition import Composition
from la4vla.schema.primitives import DEFINITIONS, Context, Primitive

# Colours that people with colour-blindness tell apart (Okabe and Ito).
COLOURS = {Context.OBJECT: "#0072B2", Context.CONTACT: "#D55E00", Context.FREE: "#009E73", Context.NONE: "#999999"}
DIRECTIONS = {
    "forward": "#0072B2", "backward": "#56B4E9",
    "left": "#D55E00", "right": "#E69F00",
    "upward": "#009E73", "downward": "#66C2A5",
}  # fmt: skip
THOUSANDS = "{x:,.0f}"
TASKS = 20
BINS = 30


def plot_composition(composition: Composition, control_hz: float, title: str) -> bytes:
    """A PNG of a set's composition; equal counts give equal bytes.

    Args:
        composition: The counts.
        control_hz: Steps per second.
        title: What is shown.
    """
    panels = 3 if composition.primitives else 2
    rows = len(composition.primitives) if composition.primitives else min(len(composition.tasks), TASKS)
    figure = Figure(figsize=(5.0 * panels, max(3.6, 1.4 + 0.27 * rows)), layout="constrained", dpi=110)
    axes = figure.subplots(1, panels)
    figure.suptitle(title, fontsize=13)
    if composition.primitives:
        _primitives(axes[0], composition.primitives)
        _lengths(axes[1], composition.lengths, control_hz, "segments")
        _bars(axes[2], [(word, composition.directions.get(word, 0)) for word in DIRECTIONS], list(DIRECTIONS.values()))
        axes[2].set_title("commanded directions", fontsize=11)
        axes[2].set_xlabel("segments; one with two directions counts twice")
    else:
        _tasks(axes[0], composition.tasks)
        _lengths(axes[1], composition.lengths, control_hz, "episodes")
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _primitives(axes: Axes, counts: Mapping[str, int]) -> None:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    contexts = [DEFINITIONS[Primitive(name)].context for name, _ in ordered]
    _bars(axes, ordered, [COLOURS[context] for context in contexts])
    axes.set_title("atomic actions", fontsize=11)
    axes.set_xlabel("segments")
    shown = [context for context in COLOURS if context in contexts]
    patches = [Patch(color=COLOURS[context], label=str(context)) for context in shown]
    # below the axis, for a long bar may lie anywhere inside
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=9, frameon=False)


def _tasks(axes: Axes, counts: Mapping[str, int]) -> None:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    _bars(axes, ordered[:TASKS], [COLOURS[Context.OBJECT]] * TASKS, sum(counts.values()))
    more = f", the {TASKS} most frequent of {len(ordered)}" if len(ordered) > TASKS else ""
    axes.set_title(f"tasks{more}", fontsize=11)
    axes.set_xlabel("episodes")


def _bars(axes: Axes, rows: Sequence[tuple[str, int]], colours: Sequence[str], total: int | None = None) -> None:
    """Horizontal bars, the first on top, each with its count and its share of ``total``; None is the rows' sum."""
    total = max(sum(count for _, count in rows) if total is None else total, 1)
    names, counts = [name for name, _ in rows], [count for _, count in rows]
    bars = axes.barh(range(len(rows)), counts, color=list(colours[: len(rows)]))
    axes.bar_label(bars, [f"{n:,} ({100 * n / total:.1f} %)" for n in counts], padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(max(len(rows), 6) - 0.5, -0.5)  # few bars need not be thick
    axes.set_xlim(0, 1.32 * max([*counts, 1]))  # room for the counts
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.spines[["top", "right"]].set_visible(False)


def _lengths(axes: Axes, counts: Mapping[str, int], control_hz: float, unit: str) -> None:
    steps = np.array(sorted(int(length) for length in counts), dtype=np.int64)
    records = np.array([counts[str(length)] for length in steps.tolist()], dtype=np.int64)
    # bins of whole steps, so that none is favoured
    width = max(1, int(np.ceil((steps[-1] - steps[0] + 1) / BINS)))
    edges = np.arange(steps[0], steps[-1] + width + 1, width)
    axes.hist(steps, bins=(edges - 0.5).tolist(), weights=records, color="#666666")
    median = float(np.repeat(steps, records)[records.sum() // 2])
    mean = float((steps * records).sum() / records.sum())
    axes.axvline(median, color="#CC79A7", linewidth=2, label=f"median {median:.0f} steps = {median / control_hz:.2f} s")
    axes.axvline(
        mean, color="#000000", linewidth=1.2, linestyle="--", label=f"mean {mean:.1f} steps = {mean / control_hz:.2f} s"
    )
    axes.legend(loc="upper right", fontsize=9, framealpha=1.0)
    axes.set_title(f"lengths, at {control_hz:g} Hz", fontsize=11)
    axes.set_xlabel("steps")
    axes.set_ylabel(unit)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])  # room for the legend
    axes.set_xlim(edges[0] - 3, edges[-1] + 2)  # ticks of whole steps, where all are alike too
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axis.set_major_formatter(THOUSANDS)
    axes.spines[["top", "right"]].set_visible(False)
