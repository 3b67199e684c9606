"""Which curves a run's plot shows."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from la4vla.training.callbacks.loss_plot import plot_loss


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (("loss", "loss/la", "loss_smoothed"), ["loss/la"]),
        (("loss", "loss/la", "loss/vla", "loss_smoothed"), ["loss", "loss/la", "loss/vla"]),
        (("loss", "loss_smoothed"), ["loss"]),
    ],
)
def test_the_run_and_its_sources_are_drawn_and_a_single_source_once(columns, shown, tmp_path, monkeypatch):
    labels = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda *a, **k: labels.append(k.get("label")) or plot(*a, **k))
    table = tmp_path / "metrics.csv"
    rows = [
        ",".join(("step", *columns)),
        *(",".join(("1.5",) * (len(columns) + 1)).replace("1.5", str(n), 1) for n in range(8)),
    ]
    table.write_text("\n".join(rows))
    plot_loss([table], tmp_path / "loss.png")
    assert [label for label in labels if label] == shown
    assert (tmp_path / "loss.png").stat().st_size > 1000
