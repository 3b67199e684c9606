"""What a fit logs about its speed."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest
import torch

from la4vla import fit
from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.flops import Pass, step_flops
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.training.callbacks.export import Export
from la4vla.training.callbacks.throughput import Throughput
from la4vla.training.machine import matrix_peak
from la4vla.training.module import PolicyModule

ROOT = Path(__file__).parents[3]
FIGURES = {
    "samples_per_s", "tokens_per_s", "data_wait_share", "model_tflop_per_s", "mfu", "peak_memory_gb",
}  # fmt: skip
WORDS = [
    *("start=null", "data.workers=0", "data.batch_size=4", "trainer.max_steps=4", "trainer.log_every_n_steps=1"),
    *("model.backbone.init_args.vision_layers=1", "model.backbone.init_args.language_layers=1"),
]


@pytest.fixture
def short(monkeypatch):
    """Windows of two batches, the first left out, and a peak that takes no time."""
    monkeypatch.setattr("la4vla.training.recipe.Throughput", lambda: Throughput(window=2, skip=1))
    monkeypatch.setattr("la4vla.training.callbacks.throughput.matrix_peak", lambda device, dtype: 1e12)


@pytest.fixture
def small_module(workspace):
    domains = MixtureDataModule({"la": Source("shards/metaworld/la", "masked")}, 4, batch_size=4, workers=0).domains
    backbone = InternVL3(vision_layers=1, language_layers=1)
    return PolicyModule(backbone, FlowMatchingHead(backbone.width, 4, layers=1, heads=2, hidden=8), domains)


def table(run: Path) -> list[dict[str, str]]:
    with next(run.glob("csv/*/metrics.csv")).open() as file:
        # Lightning repeats the last value in the steps between two windows.
        return list({row["tokens_per_s"]: row for row in csv.DictReader(file) if row.get("tokens_per_s")}.values())


def test_a_fit_logs_its_speed_and_its_use_of_the_machine(workspace, short, monkeypatch):
    counted, seen = [], []

    def spy(backbone, head, runs):
        tally = step_flops(backbone, head, runs)
        counted.append((list(runs), tally))
        return tally

    step = PolicyModule.training_step
    monkeypatch.setattr("la4vla.training.callbacks.throughput.step_flops", spy)
    monkeypatch.setattr(PolicyModule, "training_step", lambda m, b, i: seen.append(b) or step(m, b, i))
    fit.main([str(ROOT / "recipes/mixpt.yaml"), *WORDS, "name=speed"])
    rows = table(workspace / "runs/speed")
    assert len(rows) == 2 and all(row[name] for row in rows for name in FIGURES)
    # The first window holds the second batch, the second window the last two.
    assert [sum(run.rows for run in runs) for runs, _ in counted] == [4, 8]
    assert [sum(run.images for run in runs) for runs, _ in counted] == [
        len(seen[1].images), len(seen[2].images) + len(seen[3].images),
    ]  # fmt: skip
    for row, (runs, tally) in zip(rows, counted, strict=True):
        samples = sum(run.rows for run in runs)
        seconds = samples / float(row["samples_per_s"])
        assert float(row["model_tflop_per_s"]) * seconds * 1e12 == pytest.approx(
            tally.forward + tally.backward, rel=1e-3
        )
        assert float(row["mfu"]) == pytest.approx(float(row["model_tflop_per_s"]), rel=1e-5)
        tokens = float(row["tokens_per_s"]) * seconds
        assert 10 * samples < tokens <= sum(run.rows * run.length for run in runs) * (1 + 1e-4)


def test_what_callbacks_do_between_two_steps_is_no_waiting_for_data(workspace, short, monkeypatch):
    monkeypatch.setattr(Export, "on_train_batch_end", lambda *_: time.sleep(1))
    fit.main([str(ROOT / "recipes/la.yaml"), *WORDS, "name=slow", "trainer.callbacks=null"])
    results = json.loads((workspace / "runs/slow/provenance.json").read_text())["results"]
    assert results["data_wait_share"] < 0.5


def test_a_head_that_cannot_count_still_trains(workspace, short):
    fit.main([str(ROOT / "recipes/common_start.yaml"), *WORDS, "name=aligned"])
    rows = table(workspace / "runs/aligned")
    assert len(rows) == 2 and "mfu" not in rows[0] and rows[0]["peak_memory_gb"]


def test_a_resumed_run_tells_of_all_its_steps():
    before, after = Throughput(), Throughput()
    before.samples, before.waited_s, before.busy_s = 100.0, 1.0, 4.0
    after.load_state_dict(before.state_dict())
    assert (after.samples_per_s, after.data_wait_share) == (20.0, 0.2)


def test_the_hook_is_gone_and_counts_no_rollout(small_module):
    throughput = Throughput()
    throughput.on_train_start(None, small_module)
    backbone = small_module.policy.backbone
    hooks = len(backbone._forward_hooks)
    tokens = type("tokens", (), {"mask": torch.ones(2, 5, dtype=torch.bool)})
    batch = type("batch", (), {"images": ()})
    for training in (True, False):
        backbone.train(training)
        throughput._note(backbone, (batch,), tokens)
    assert throughput._runs == [Pass(2, 5, 0)]
    throughput.on_train_end(None, small_module)
    assert len(backbone._forward_hooks) == hooks - 1


def test_the_peak_is_measured_once_and_draws_nothing(monkeypatch):
    state = torch.get_rng_state()
    monkeypatch.setattr("torch.Tensor.to", lambda tensor, *_: torch.ones(8, 8))
    device = torch.device("cpu")
    matrix_peak.cache_clear()
    assert matrix_peak(device, torch.float32) == matrix_peak(device, torch.float32) > 0
    matrix_peak.cache_clear()
    assert torch.get_rng_state().equal(state)
