"""Rollouts on the way disturb nothing: exact resume holds, and one process of several runs them."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from la4vla import fit
from la4vla.evaluation.outcomes import read_outcomes
from la4vla.models.model_card import card
from la4vla.models.policy import Policy
from la4vla.training.callbacks.export import Export
from la4vla.training.module import PolicyModule

ROOT = Path(__file__).parents[3]
OVERLAY = """
trainer:
  callbacks:
    - class_path: BenchmarkRollouts
      init_args:
        benchmark: {class_path: still_benchmark.StillBenchmark, init_args: {diary: diary.txt}}
        every_n_steps: 2
        keep_best: true
"""
WORDS = [
    *("start=null", "data.batch_size=4", "data.workers=0", "trainer.max_steps=5", "checkpoint_every=1"),
    *("model.backbone.init_args.vision_layers=1", "model.backbone.init_args.language_layers=1"),
    *("model.head_warmup_steps=0", "model.warmup_steps=0", "trainer.precision=32-true"),
    *("model.head.init_args.dropout=0.1", "model.head.init_args.layers=1"),
]
LA = str(ROOT / "recipes/la.yaml")


@pytest.fixture
def rollouts(workspace):
    (workspace / "rollouts.yaml").write_text(OVERLAY)
    return [LA, "rollouts.yaml", *WORDS]


def test_a_resumed_run_with_rollouts_equals_an_uninterrupted_one_without(workspace, rollouts, monkeypatch):
    fit.main([LA, *WORDS, "trainer.callbacks=null", "trainer.log_every_n_steps=1", "name=without"])
    begin = PolicyModule.on_train_batch_start

    def dies(module, *batch):
        if module.trainer.global_step == 3:
            raise RuntimeError("out of power")
        begin(module, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(PolicyModule, "on_train_batch_start", dies)
        with pytest.raises(RuntimeError, match="out of power"):
            fit.main([*rollouts, "name=with"])
    fit.main([*rollouts, "name=with"])
    whole, resumed = (load_file(workspace / "runs" / name / "policy/model.safetensors") for name in ("without", "with"))
    assert all(whole[name].equal(resumed[name]) for name in whole)

    folder = workspace / "runs/with/still"
    assert sorted(path.name for path in folder.iterdir()) == ["best_policy", "step_2", "step_4", "step_5"]
    assert (workspace / "diary.txt").read_text() == "run\n" * 3  # step 2 was not run again
    outcomes = read_outcomes(folder / "step_4/outcomes.csv")
    assert [outcome.success for outcome in outcomes] == [True, False, True, False]
    results = json.loads((workspace / "runs/with/provenance.json").read_text())["results"]
    assert (results["success_rate"], results["episodes"], results["retries"]) == (0.5, 4, 0)
    assert (results["benchmark"], results["measured_at_step"], results["seeds"]) == ("still", 5, [0, 1, 2, 3])
    assert "Success in still: 50.0 %" in card(Policy.load(workspace / "runs/with/policy"), "me/with")
    assert results["best_success"] == {"success_rate": 0.5, "step": 2}  # later ones were no better
    with (workspace / "runs/without/csv/version_0/metrics.csv").open() as file:
        rates = [row["learning_rate/head"] for row in csv.DictReader(file) if row["learning_rate/head"]]
    peak = [0.5 * (1 + math.cos(math.pi * step / 5)) for step in range(5)]
    assert [float(rate) / float(rates[0]) for rate in rates] == pytest.approx(peak)
    tables = sorted((workspace / "runs/with/csv").glob("*/metrics.csv"))
    logged = [row.get("success_rate") for table in tables for row in csv.DictReader(table.open())]
    assert [float(value) for value in logged if value] == [0.5] * 3
    best = Policy.load(folder / "best_policy").state_dict()
    assert any(not best[name].equal(tensor) for name, tensor in resumed.items())


def test_the_first_of_two_processes_runs_them(workspace, rollouts, job):
    job(*rollouts, "name=two", "trainer.max_steps=2", "trainer.strategy=ddp_find_unused_parameters_true", ranks=2)
    assert (workspace / "diary.txt").read_text() == "run\n"
    assert len(read_outcomes(workspace / "runs/two/still/step_2/outcomes.csv")) == 4


def test_an_end_that_was_cut_off_comes_again(workspace, rollouts, monkeypatch):
    def dies(*_):
        raise RuntimeError("out of power")

    fit.main([*rollouts, "name=whole"])
    with monkeypatch.context() as patch:
        patch.setattr(Export, "_export", dies)
        with pytest.raises(RuntimeError, match="out of power"):
            fit.main([*rollouts, "name=cut"])
    cut = workspace / "runs/cut"
    assert not (cut / "policy").exists()
    fit.main([*rollouts, "name=cut"])
    whole, made_up = (load_file(workspace / "runs" / name / "policy/model.safetensors") for name in ("whole", "cut"))
    assert all(whole[name].equal(made_up[name]) for name in whole)
    results = json.loads((cut / "provenance.json").read_text())["results"]
    assert results["episodes"] == 4 and results["loss"] > 0
    assert torch.load(cut / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 5


def test_a_state_at_the_end_without_a_policy_is_told(workspace, rollouts):
    fit.main([*rollouts, "name=done"])
    provenance = workspace / "runs/done/provenance.json"
    told = {k: v for k, v in json.loads(provenance.read_text()).items() if k != "finished"}
    provenance.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="at the end of training, from which nothing goes on"):
        fit.main([*rollouts, "name=done"])


def test_the_last_state_knows_which_the_best_is(workspace, rollouts, monkeypatch):
    begin = PolicyModule.on_train_batch_start

    def dies(module, *batch):
        if module.trainer.global_step == 3:
            raise RuntimeError("out of power")
        begin(module, *batch)

    monkeypatch.setattr(PolicyModule, "on_train_batch_start", dies)
    with pytest.raises(RuntimeError, match="out of power"):
        fit.main([*rollouts, "name=cut"])
    best, last = (
        torch.load(workspace / f"runs/cut/checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last")
    )
    score = last["callbacks"]["RunCheckpoint(best)"]["best_model_score"]
    assert score.item() == pytest.approx(best["state_dict"]["loss_smoothed"].item())


def test_a_policy_the_benchmark_cannot_roll_out_is_refused_before_training(workspace, rollouts):
    overlay = OVERLAY.replace("{diary: diary.txt}", "{diary: diary.txt, replan_every: 8}")
    (workspace / "rollouts.yaml").write_text(overlay)
    with pytest.raises(ValueError, match="replan_every is 8, but the policy's chunks hold 2 actions"):
        fit.main([*rollouts, "name=short", "model.head.init_args.horizon=2"])
    assert not (workspace / "runs/short/checkpoints").exists() and not (workspace / "diary.txt").exists()
