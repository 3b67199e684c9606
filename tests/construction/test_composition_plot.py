"""Shares in a set's picture are shares of the whole set, also where only a part of it is drawn."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from la4vla.construction.composition_plot import plot_composition
from la4vla.data.composition import Composition


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words beside the bars that are drawn."""
    written: list[str] = []
    draw = Axes.bar_label

    def note(axes: Axes, bars: BarContainer, words: list[str], **style: object) -> object:
        written.extend(words)
        return draw(axes, bars, words, **style)

    monkeypatch.setattr(Axes, "bar_label", note)
    return written


def _episodes(tasks: int) -> Composition:
    names = {f"task {number}": 16 for number in range(tasks)}
    return Composition(tasks=names, lengths={"100": 16 * tasks})


@pytest.mark.parametrize(("tasks", "drawn", "share"), [(40, 20, "2.5"), (4, 4, "25.0")])
def test_a_tasks_share_is_of_all_tasks(labels: list[str], tasks: int, drawn: int, share: str) -> None:
    plot_composition(_episodes(tasks), 80.0, "frames")
    assert labels == [f"16 ({share} %)"] * drawn
