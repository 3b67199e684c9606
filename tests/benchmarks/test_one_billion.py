"""The benchmark at the size of a laptop: what it compares is equal, its account is what torch counts."""

from __future__ import annotations

import csv
import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture
def part(monkeypatch):
    monkeypatch.syspath_prepend(str(SPEED))
    monkeypatch.setattr(importlib.import_module("one_billion_cases"), "matrix_peak", lambda device, dtype: 1e12)
    return importlib.import_module


@pytest.fixture
def setting(part):
    return part("one_billion_cases").Setting("cpu", 1, 4, torch.get_num_threads(), "tiny", 256)


@pytest.fixture
def model(part, setting):
    """In evaluation mode: dropout draws other numbers for other lengths."""
    return part("one_billion_cases").fresh(setting).eval()


def test_losses_and_gradients_are_equal_where_both_mask_strictly(part, model):
    batch = part("one_billion_model").samples(3, 1, model.backbone.image_px)
    model.learn(part("one_billion_cases").KINDS["vla"].learns)
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = []
    for loss in (model.policy.loss, lambda given: model.official_loss(given, strict=True), model.official_loss):
        losses = loss(batch)
        gradients = torch.autograd.grad(losses.sum(), list(learning.values()), allow_unused=True)
        found.append((losses, {name: g for name, g in zip(learning, gradients, strict=True) if g is not None}))
    (ours, mine), (strict, theirs), (loose, _) = found
    torch.testing.assert_close(ours, strict, rtol=1e-4, atol=0)
    assert not torch.isclose(ours, loose, rtol=1e-3).any()
    assert mine.keys() <= theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(mine.get(name, torch.zeros_like(gradient)), gradient, rtol=1e-3, atol=1e-5)


def test_losses_are_compared_in_each_precision(part, model, setting, monkeypatch):
    script = part("one_billion")
    monkeypatch.setattr(type(setting), "precision", torch.bfloat16)
    losses = script.check(setting)
    assert len(losses) == 4
    assert script.unequal(losses) == []
    assert script.unequal({**losses, "ours, torch.bfloat16": [1.01 * loss for loss in losses["ours, torch.bfloat16"]]})
    assert script.unequal({**losses, "ours, torch.float32": [1.001 * loss for loss in losses["ours, torch.float32"]]})


def test_unequal_losses_end_the_run_with_an_error(part, monkeypatch):
    script = part("one_billion")
    monkeypatch.setattr(script, "in_process", lambda *_: {"ours, torch.float32": [1.0], "strict, torch.float32": [2.0]})
    monkeypatch.setattr(script, "CASES", {"cpu": [], "cuda": []})
    with pytest.raises(SystemExit, match="must give equal losses"):
        script.main(["--device", "cpu"])


@pytest.mark.parametrize("way", ["official", "ours"])
@pytest.mark.parametrize("kind", ["la", "vla", "mixed", "act"])
def test_its_account_is_what_torch_counts(part, model, setting, kind, way):
    cases = part("one_billion_cases")
    case = cases.Case(kind, 2, way)
    step = (cases._acting if kind == "act" else cases._training)(model, case, setting)
    with FlopCounterMode(display=False) as counter:
        step()
    account = (model.official_flops if way == "official" else model.flops)(model.runs(2, case.seen), kind == "act")
    assert account == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_a_step_in_parts_has_the_gradients_of_one_at_once(part, model, setting):
    cases, found = part("one_billion_cases"), []
    case = cases.Case("la", 8, "official")
    for at_once in (8, 2):
        step = cases._training(model, case, replace(setting, at_once=at_once))
        model.eval()
        kept = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(
                    lambda p, name=name, kept=kept: kept.update({name: p.grad.clone()})
                )
        step()
        found.append(kept)
    assert found[0].keys() == found[1].keys()
    for name, whole in found[0].items():
        torch.testing.assert_close(found[1][name], whole, rtol=1e-3, atol=1e-6)


def test_its_table_relates_ours_to_the_official_shape(part, tmp_path, monkeypatch, capsys):
    script, path = part("one_billion"), tmp_path / "table.csv"
    monkeypatch.setattr(script, "in_process", script.here)
    cases = "la-step:8:official la-step:8:ours la:8:recompute act:1:official act:1:ours".split()
    sizes = f"--variant tiny --tokens 256 --turns 1 --threads {torch.get_num_threads()}".split()
    script.main(["--device", "cpu", *sizes, "--cases", *cases, "--csv", str(path)])
    rows = list(csv.DictReader(path.open()))
    assert [f"{row['case']}:{row['batch']}:{row['way']}" for row in rows] == cases
    assert [row["ratio"] != "" for row in rows] == [False, True, False, False, True]
    for official, ours in ((rows[0], rows[1]), (rows[3], rows[4])):
        expected = float(official["seconds"]) / float(ours["seconds"])
        assert float(ours["ratio"]) == pytest.approx(expected, abs=0.01, rel=0.01)
        assert float(official["tflop"]) > float(ours["tflop"]) > 0
    assert float(rows[1]["mfu"]) == pytest.approx(float(rows[1]["tflop"]) / float(rows[1]["seconds"]), rel=0.3)
    assert rows[0]["precision"] in ("float32", "bfloat16") and rows[0]["device"].startswith("cpu")
    assert capsys.readouterr().out.startswith("loss ours, torch.float32: [")


def test_a_case_that_runs_out_of_memory_leaves_the_others(part, setting, monkeypatch, tmp_path, capsys):
    script, path = part("one_billion"), tmp_path / "table.csv"

    def measured(case, setting):
        if case.batch > 1:
            raise torch.OutOfMemoryError("no memory left")
        return {"case": case.kind, "batch": 1, "way": case.way, "precision": "float32", "seconds": 1, "memory_gb": 1}

    monkeypatch.setattr(script, "in_process", script.here)
    monkeypatch.setattr(script, "measure", measured)
    script.main(["--device", "cpu", "--no-check", "--cases", "vla:64:ours", "vla:1:ours", "--csv", str(path)])
    assert "OutOfMemoryError: no memory left" in capsys.readouterr().out
    assert [row["batch"] for row in csv.DictReader(path.open())] == ["1"]


def test_a_misspelt_case_is_told(part):
    with pytest.raises(ValueError, match="must be KIND:BATCH:WAY"):
        part("one_billion_cases").Case.parse("la:8:mine")
