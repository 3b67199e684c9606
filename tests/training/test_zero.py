"""DeepSpeed trains what one process trains, goes on where it was killed, and leaves one whole file."""

from __future__ import annotations

import csv
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra deepspeed")

# The head's warm-up, steps with and without vision and a mixed accumulation: all that leaves parameters unused.
RECIPE = """
model:
  backbone: {class_path: InternVL3, init_args: {variant: tiny, vision_layers: 1, language_layers: 1}}
  head:
    class_path: FlowMatchingHead
    init_args: {horizon: 4, action_dim: 8, proprioception_dim: 8, layers: 1, heads: 2, hidden: 32, dropout: 0.0}
  head_warmup_steps: 2
  warmup_steps: 2
data:
  sources:
    la: {shards: shards/metaworld/la, vision: masked, weight: 3}
    vla: {shards: shards/metaworld/vla, vision: visible}
  batch_size: 2
  workers: 0
checkpoint_every: 2
trainer: {max_steps: 6, log_every_n_steps: 1, accelerator: cpu, precision: PRECISION, accumulate_grad_batches: 2}
"""
STRATEGY = "trainer: {strategy: {class_path: la4vla.training.zero.ZeRO, init_args: {stage: STAGE}}}"


@pytest.fixture
def words(workspace, monkeypatch):
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")

    def write(stage: int | None, name: str, precision: str = "32-true") -> tuple[str, ...]:
        (workspace / "mixed.yaml").write_text(RECIPE.replace("PRECISION", precision))
        (workspace / f"zero{stage}.yaml").write_text(STRATEGY.replace("STAGE", str(stage)))
        return ("mixed.yaml", *([f"zero{stage}.yaml"] if stage else []), f"name={name}")

    return write


def logged(workspace, name: str, column: str = "loss") -> dict[int, float]:
    with sorted((workspace / "runs" / name).glob("csv/*/metrics.csv"))[-1].open() as file:
        return {int(row["step"]): float(row[column]) for row in csv.DictReader(file) if row.get(column)}


def weights(workspace, name: str) -> dict[str, torch.Tensor]:
    return load_file(workspace / "runs" / name / "policy/model.safetensors")


@pytest.mark.parametrize("stage", [2, 3])
def test_two_processes_train_what_one_trains_and_go_on_exactly(workspace, words, job, stage):
    job(*words(None, "one"), ranks=1)
    job(*words(stage, "two"), ranks=2)
    one = logged(workspace, "one")
    assert len(one) == 6
    assert logged(workspace, "two") == pytest.approx(one, rel=1e-3)
    assert logged(workspace, "two", "grad_norm") == pytest.approx(logged(workspace, "one", "grad_norm"), rel=1e-3)
    plain, spread = weights(workspace, "one"), weights(workspace, "two")
    assert plain.keys() == spread.keys()
    # Adam divides a gradient by its own size: where it is almost nothing its sign may differ, in few weights.
    assert all((spread[name] - weight).abs().float().mean() < 1e-5 for name, weight in plain.items())

    job(*words(stage, "killed"), ranks=2, dies_at=5)
    assert not (workspace / "runs/killed/policy").exists()
    job(*words(stage, "killed"), ranks=2)
    rest = logged(workspace, "killed")
    assert set(rest) == {4, 5}, "the run began anew instead of going on"
    assert rest == {step: loss for step, loss in logged(workspace, "two").items() if step in rest}
    assert all(torch.equal(weights(workspace, "killed")[name], weight) for name, weight in spread.items())

    checkpoints = [
        torch.load(workspace / "runs" / name / "checkpoints/last.ckpt", weights_only=True) for name in ("one", "two")
    ]
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in checkpoints]
    assert states[0].keys() == states[1].keys()
    for index, state in states[0].items():
        assert {key: value.shape for key, value in state.items()} == {k: v.shape for k, v in states[1][index].items()}
        assert state["step"] == states[1][index]["step"]
