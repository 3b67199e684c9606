"""Resume is exact, and two processes equal one."""

from __future__ import annotations

import csv
import re
import signal

import pytest
from safetensors.torch import load_file

RECIPE = """
model:
  backbone: {class_path: InternVL3, init_args: {variant: tiny}}
  head:
    class_path: FlowMatchingHead
    init_args: {horizon: 4, action_dim: 8, proprioception_dim: 8, layers: 2, heads: 2, hidden: 32, dropout: DROPOUT}
  head_warmup_steps: 3
  warmup_steps: 2
data:
  sources:
    la: {shards: shards/metaworld/la, vision: masked}
    vla: {shards: shards/metaworld/vla, vision: visible}
  batch_size: 8
  workers: 2
checkpoint_every: 3
trainer: {max_steps: 12, log_every_n_steps: 1, accelerator: cpu, devices: 1}
"""


@pytest.fixture
def recipe(workspace):
    def write(name: str, dropout: float) -> str:
        (workspace / f"{name}.yaml").write_text(RECIPE.replace("DROPOUT", str(dropout)))
        return f"{name}.yaml"

    return write


def logged(run, column: str) -> dict[int, str]:
    """A column by step, as text, since the last start of a run."""
    with sorted(run.glob("csv/*/metrics.csv"))[-1].open() as file:
        return {int(row["step"]): row[column] for row in csv.DictReader(file) if row.get(column)}


def finish(process) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def test_a_killed_run_goes_on_as_if_nothing_had_happened(workspace, recipe, fit_process):
    words = [recipe("mixed", dropout=0.1)]
    finish(fit_process(*words, "name=whole"))
    process = fit_process(*words, "name=killed")
    for line in process.stdout:
        if re.match(r"step (\d+)/12", line) and int(re.match(r"step (\d+)", line)[1]) >= 7:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    assert not (workspace / "runs/killed/policy").exists()
    output = finish(fit_process(*words, "name=killed"))
    assert "going on" in output
    whole, resumed = logged(workspace / "runs/whole", "loss"), logged(workspace / "runs/killed", "loss")
    assert set(whole) == set(range(12))
    assert min(resumed) >= 3, "the run began anew instead of going on"
    assert resumed == {step: whole[step] for step in resumed}
    ours = load_file(workspace / "runs/killed/policy/model.safetensors")
    theirs = load_file(workspace / "runs/whole/policy/model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_equal_one(workspace, recipe, fit_process, accumulate):
    words = [recipe("mixed", dropout=0.0), "trainer.max_steps=4", "trainer.precision=32-true", "data.workers=0"]
    words += [f"trainer.accumulate_grad_batches={accumulate}"]
    finish(fit_process(*words, "name=one"))
    finish(fit_process(*words, "name=two", "trainer.devices=2", "trainer.strategy=ddp_find_unused_parameters_true"))
    one, two = (logged(workspace / "runs" / name, "grad_norm") for name in ("one", "two"))
    assert len(one) == len(two) == 4
    assert [float(two[s]) for s in two] == pytest.approx([float(one[s]) for s in one], rel=1e-3)
    ours = load_file(workspace / "runs/two/policy/model.safetensors")
    theirs = load_file(workspace / "runs/one/policy/model.safetensors")
    # Adam divides a gradient by its own size: where it is almost nothing its sign may differ, in few weights.
    for name, weight in ours.items():
        assert (weight - theirs[name]).abs().float().mean() < 1e-5, name


def test_a_finished_run_is_not_trained_again(workspace, recipe, fit_process):
    words = [recipe("mixed", dropout=0.0), "trainer.max_steps=2", "name=done"]
    finish(fit_process(*words))
    before = (workspace / "runs/done/policy/model.safetensors").stat().st_mtime_ns
    assert "finished already" in finish(fit_process(*words))
    assert (workspace / "runs/done/policy/model.safetensors").stat().st_mtime_ns == before
