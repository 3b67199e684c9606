"""Draws the loss curve of a run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot as plt


def plot_loss(metrics: Sequence[Path], image: Path, smooth: int = 5) -> None:
    """Draw the loss, and that of each source, over steps, faint as measured and strong as a running mean.

    Of a run with one source, whose loss is the run's, only one of the two is drawn.

    Args:
        metrics: Tables as Lightning's CSVLogger writes them, one for each start of the run.
        image: PNG to write.
        smooth: Rows of the running mean.
    """
    rows = []
    for path in metrics:
        with path.open() as file:
            rows += list(csv.DictReader(file))
    names = sorted({k for row in rows for k, v in row.items() if k and (k == "loss" or k.startswith("loss/")) and v})
    if sum(name.startswith("loss/") for name in names) == 1:
        names.remove("loss")
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name in names:
        points = [(int(r["step"]), float(r[name])) for r in rows if r.get(name)]
        if not points:
            continue
        steps, values = np.array(points).T
        window = min(smooth, len(values))
        mean = np.convolve(values, np.ones(window) / window, mode="valid")
        (line,) = axes.plot(steps[window - 1 :], mean, label=name, linewidth=1.8)
        axes.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)
    axes.set(xlabel="step", ylabel="loss", title=image.parent.name, yscale="log")
    axes.grid(alpha=0.3, which="both")
    if axes.lines:
        axes.legend(frameon=False)
    temporary = image.with_suffix(".partial.png")
    figure.savefig(temporary, dpi=130)
    temporary.replace(image)
    plt.close(figure)
