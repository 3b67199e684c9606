"""A job whose time is up saves, queues itself again and goes on in the next one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from la4vla import fit
from la4vla.training.module import PolicyModule

ROOT = Path(__file__).parents[3]
WORDS = [
    str(ROOT / "recipes/la.yaml"),
    str(ROOT / "recipes/overlays/slurm.yaml"),
    *("start=null", "data.batch_size=4", "data.workers=0", "trainer.max_steps=12", "name=tried"),
    *("model.backbone.init_args.vision_layers=1", "model.backbone.init_args.language_layers=1"),
]


def test_the_signal_ends_the_job_and_the_next_one_goes_on(workspace, monkeypatch):
    scontrol = workspace / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text('#!/bin/sh\necho "$@" > asked.txt\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(scontrol.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    steps = []

    def on_train_batch_end(module, *_):
        steps.append(module.global_step)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(PolicyModule, "on_train_batch_end", on_train_batch_end)
    with pytest.raises(SystemExit) as end:
        fit.main(WORDS)
    assert end.value.code == 0
    assert (workspace / "asked.txt").read_text().split() == ["requeue", "4711"]
    assert not (workspace / "runs/tried/policy").exists()
    fit.main(WORDS)
    assert (workspace / "runs/tried/policy/config.json").exists()
    assert steps == [*range(1, 10), 11, 12]
