"""The rollout benchmark at its smallest: every way plays, and the table's ratios are those of its rates."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import pytest

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture
def rollouts(monkeypatch):
    monkeypatch.syspath_prepend(str(SPEED))
    return importlib.import_module("rollouts")


@pytest.mark.parametrize("simulator", ["metaworld", pytest.param("libero", marks=pytest.mark.libero)])
def test_every_way_is_timed_against_the_plain_loops(rollouts, tmp_path, simulator):
    path = tmp_path / "rollouts.csv"
    sizes = "--steps 1 --turns 2 --environments 1 --processes 0 --threads 1".split()
    rollouts.main(["--simulators", simulator, *sizes, "--csv", str(path)])
    rows = list(csv.DictReader(path.open()))
    ways = [(row["way"], row["rendering"]) for row in rows]
    assert ways == [(way, kind) for kind in ("stock", "light") for way in ("plain loop", "la4vla")]
    rates = {way: float(row["episodes_per_minute"]) for way, row in zip(ways, rows, strict=True)}
    for (way, kind), row in zip(ways, rows, strict=True):
        assert 0 < float(row["least"]) <= rates[way, kind] <= float(row["most"])
        for column, base in (("of_plain_stock", "stock"), ("of_plain_same_rendering", kind)):
            assert float(row[column]) == pytest.approx(rates[way, kind] / rates["plain loop", base], abs=0.06)


def test_a_turn_of_ours_is_a_wave_of_episodes_after_the_first(rollouts):
    case = rollouts.replace(rollouts.CASES["metaworld"], environments=2)
    assert len(rollouts.ours(case, case.light, turns=3, steps=1, processes=0)) == 3
