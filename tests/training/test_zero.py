"""DeepSpeed trains what one process trains, goes on where it was killed, and leaves one whole file."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.plugins.environments import LightningEnvironment
from safetensors.torch import load_file

from la4vla import fit
from la4vla.models.policy import Policy
from la4vla.training.zero import ZeRO

needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra deepspeed")

ROOT = Path(__file__).parents[2]
# Accumulated gradients of batches with and without vision.
SCHEDULE = ("data.batch_size=2", "trainer.max_steps=6", "trainer.accumulate_grad_batches=2")
# Reads a policy where neither Lightning nor DeepSpeed can be imported.
LOADS = """
import sys
sys.modules["lightning"] = sys.modules["deepspeed"] = None
from la4vla.models.policy import Policy
Policy.load(sys.argv[1])
"""


@pytest.fixture
def words(mixed, monkeypatch):
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")

    def write(stage: int | None, name: str) -> tuple[str, ...]:
        overlays = [str(ROOT / f"recipes/overlays/deepspeed_{stage}.yaml")] if stage else []
        return (mixed, *overlays, *SCHEDULE, f"name={name}")

    return write


def logged(workspace, name: str, column: str = "loss") -> dict[int, float]:
    """A column by step since the last start of a run."""
    with sorted((workspace / "runs" / name).glob("csv/*/metrics.csv"))[-1].open() as file:
        return {int(row["step"]): float(row[column]) for row in csv.DictReader(file) if row.get(column)}


def weights(workspace, name: str) -> dict[str, torch.Tensor]:
    return load_file(workspace / "runs" / name / "policy/model.safetensors")


def moments(workspace, name: str) -> dict[int, dict[str, torch.Tensor]]:
    path = workspace / "runs" / name / "checkpoints/last.ckpt"
    return torch.load(path, weights_only=True)["optimizer_states"][0]["state"]


@needs_deepspeed
@pytest.mark.parametrize("stage", [2, 3])
def test_two_processes_train_what_one_trains_and_any_number_goes_on(workspace, words, job, stage):
    job(*words(None, "one"), ranks=1)
    job(*words(stage, "two"), ranks=2)
    one, two = logged(workspace, "one"), logged(workspace, "two")
    assert len(one) == 6
    assert two == pytest.approx(one, rel=1e-5)
    assert logged(workspace, "two", "grad_norm") == pytest.approx(logged(workspace, "one", "grad_norm"), rel=1e-4)
    plain, spread = weights(workspace, "one"), weights(workspace, "two")
    assert plain.keys() == spread.keys()
    # Adam divides a gradient by its own size: where it is almost nothing its sign may differ, in few weights.
    assert all((spread[name] - weight).abs().float().mean() < 1e-5 for name, weight in plain.items())
    ours, theirs = moments(workspace, "two"), moments(workspace, "one")
    assert ours.keys() == theirs.keys()
    for index, state in theirs.items():
        assert {key: value.shape for key, value in state.items()} == {k: v.shape for k, v in ours[index].items()}
        assert ours[index]["step"] == state["step"]
        torch.testing.assert_close(ours[index]["exp_avg"], state["exp_avg"], atol=1e-5, rtol=1e-3)

    job(*words(stage, "killed"), ranks=2, dies_at=5)
    assert not (workspace / "runs/killed/policy").exists()
    shutil.copytree(workspace / "runs/killed", workspace / "runs/fewer")
    job(*words(stage, "killed"), ranks=2)
    job(*words(stage, "fewer"), ranks=1)
    for name in ("killed", "fewer"):
        rest = logged(workspace, name)
        assert set(rest) == {4, 5}, "the run began anew instead of going on"
        rest_of_whole = {step: two[step] for step in rest}
        assert rest == (rest_of_whole if name == "killed" else pytest.approx(rest_of_whole, rel=1e-5))
    assert all(torch.equal(weights(workspace, "killed")[name], weight) for name, weight in spread.items())

    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    for name in ("policy", "checkpoints/last.ckpt"):
        command = [sys.executable, "-c", LOADS, str(workspace / "runs/two" / name)]
        subprocess.run(command, check=True, env=environment)
    last = Policy.load("runs/two/checkpoints/last.ckpt").state_dict()
    assert last.keys() == spread.keys() and all(last[name].equal(weight) for name, weight in spread.items())


@needs_deepspeed
def test_the_command_starts_all_processes(workspace, words, fit_process):
    process = fit_process(*words(2, "real"), "trainer.devices=2", "trainer.max_steps=1")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "2 process(es)" in output
    assert (workspace / "runs/real/policy/model.safetensors").exists()


@needs_deepspeed
def test_a_checkpoint_is_read_without_running_what_is_in_it(tmp_path):
    path, trace = tmp_path / "last.ckpt", tmp_path / "trace"
    torch.save({"state_dict": _Runs(trace)}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        ZeRO().load_checkpoint(path)
    assert not trace.exists()
    with pytest.raises(ValueError, match="checkpoints that are one file"):
        ZeRO().load_checkpoint(tmp_path)


@needs_deepspeed
def test_wrong_combinations_are_refused(tmp_path, monkeypatch):
    settings = {"default_root_dir": tmp_path, "accelerator": "cpu", "logger": False}
    with pytest.raises(ValueError, match=r"overlays/ddp\.yaml with overlays/ema\.yaml"):
        ZeRO().setup(Trainer(callbacks=[EMAWeightAveraging()], **settings))
    with pytest.raises(ValueError, match=r"bf16-mixed or 32-true, not 64-true"):
        ZeRO().setup(Trainer(precision="64-true", **settings))

    from deepspeed.accelerator import real_accelerator
    from deepspeed.accelerator.cuda_accelerator import CUDA_Accelerator

    monkeypatch.setattr(real_accelerator, "ds_accelerator", CUDA_Accelerator())
    strategy = ZeRO()
    strategy.parallel_devices, strategy.cluster_environment = [torch.device("cpu")], LightningEnvironment()
    with pytest.raises(ValueError, match="set DS_ACCELERATOR=cpu in the environment"):
        strategy.setup_distributed()


def test_a_missing_deepspeed_is_told_before_anything_runs(workspace, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(ValueError, match=r"needs DeepSpeed: pip install \"la4vla\[deepspeed\]\""):
        fit.main([*words(2, "missing")])
    assert not (workspace / "runs/missing/provenance.json").exists()


class _Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))
