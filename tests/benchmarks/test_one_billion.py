"""The benchmark at the size of a laptop: its account is what torch counts, its table is written."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture
def one_billion(monkeypatch):
    monkeypatch.syspath_prepend(str(SPEED))
    return importlib.import_module("one_billion")


@pytest.fixture
def small(one_billion):
    torch.manual_seed(0)
    return one_billion.OneBillion("tiny", tokens=256)


@pytest.mark.parametrize("name", ["la8", "vla", "act"])
def test_its_account_is_what_torch_counts(one_billion, small, name):
    ours, official, batch, taken = one_billion.case(small, name)
    for step, expected in zip((ours, official), taken.tflop(batch, name == "act"), strict=True):
        with FlopCounterMode(display=False) as counter, torch.autocast("cpu", torch.bfloat16):
            step()
        assert expected * 1e12 == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_a_row_relates_both_shapes(one_billion, small, monkeypatch, tmp_path):
    monkeypatch.setattr(one_billion, "matrix_peak", lambda device, dtype: 1e12)
    row = one_billion.compare(small, "la8", turns=1)
    assert row["ratio"] == pytest.approx(row["official_s"] / row["ours_s"], rel=0.1, abs=0.1)
    assert row["official_tflop"] > 3 * row["ours_tflop"] > 0
    one_billion.write_table([row, row], tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        assert [line["case"] for line in csv.DictReader(file)] == ["la8", "la8"]


def test_memory_is_that_of_a_whole_step(one_billion):
    found = one_billion.memory("ours", 1, "tiny")
    assert found["peak_gb"] >= found["weights_gb"] > 0
