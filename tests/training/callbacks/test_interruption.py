"""Ctrl-C and SIGTERM save, say where and how to go on, and lose nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from la4vla import fit
from la4vla.cli import run_verb
from la4vla.training.module import PolicyModule


@pytest.fixture
def struck(monkeypatch):
    """Have a signal come in the middle of a step, once or more often."""

    def strike(number: int, step: int, times: int = 1) -> None:
        whole = PolicyModule.training_step

        def training_step(module, batch, batch_idx):
            for _ in range(times if module.global_step == step else 0):
                os.kill(os.getpid(), number)
                time.sleep(0.01)
            return whole(module, batch, batch_idx)

        monkeypatch.setattr(PolicyModule, "training_step", training_step)

    return strike


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_step_is_finished_and_saved_and_the_run_goes_on_exactly(
    workspace, mixed, struck, monkeypatch, capsys, number, status
):
    words = [mixed, "checkpoint_every=100", "name=stopped"]
    fit.main([mixed, "name=whole"])
    struck(number, step=1)
    with pytest.raises(SystemExit) as end:
        fit.main(words)
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
    assert end.value.code == status
    said = capsys.readouterr().err
    assert "Interrupted at step 2 of 4, saved in runs/stopped/checkpoints/last.ckpt." in said
    assert "To go on: python -m la4vla.fit mixed.yaml checkpoint_every=100 name=stopped" in said
    assert torch.load("runs/stopped/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    assert not (workspace / "runs/stopped/policy").exists()
    fit.main(words)
    ours, theirs = (load_file(f"runs/{name}/policy/model.safetensors") for name in ("stopped", "whole"))
    assert all(ours[name].equal(tensor) for name, tensor in theirs.items())


def test_a_second_one_ends_at_once(workspace, mixed, struck, capsys):
    struck(signal.SIGINT, step=1, times=2)
    with pytest.raises(SystemExit) as end:
        fit.main([mixed, "checkpoint_every=100"])
    assert end.value.code == 130
    assert "Interrupted; nothing was saved yet." in capsys.readouterr().err
    assert not (workspace / "runs/mixed/checkpoints").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_before_the_first_step_nothing_is_left(workspace, mixed, monkeypatch):
    monkeypatch.setattr(PolicyModule, "setup", lambda module, stage: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as end:
        fit.main([mixed])
    assert end.value.code == 130
    assert not (workspace / "runs/mixed").exists()


def test_a_run_whose_time_is_up_is_not_finished_and_goes_on_with_all_its_time(workspace, mixed, capsys):
    words = [mixed, "name=timed"]
    fit.main([mixed, "name=whole"])
    with pytest.raises(SystemExit) as end:
        fit.main([*words, "trainer.max_time=00:00:00:00"])
    assert end.value.code == os.EX_TEMPFAIL
    said = capsys.readouterr().err
    assert "Stopped at step 1 of 4, saved in runs/timed/checkpoints/last.ckpt; the run is not finished." in said
    assert not (workspace / "runs/timed/policy").exists()
    fit.main([*words, "trainer.max_time=00:01:00:00"])
    ours, theirs = (load_file(f"runs/{name}/policy/model.safetensors") for name in ("timed", "whole"))
    assert all(ours[name].equal(tensor) for name, tensor in theirs.items())


def descendants(pid: int) -> list[int]:
    """The processes that ``pid`` has started, and those that they have started."""
    below = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return below + [further for child in below for further in descendants(child)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not fetched by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def struck_chain(workspace, mixed, monkeypatch):
    """Fit a recipe after another one, and have a signal come while a process of its own trains that one."""
    monkeypatch.setenv("PYTHONPATH", str(Path(fit.__file__).parents[1]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    text = Path(mixed).read_text().replace("max_steps: 4,", "max_steps: 100000,")
    Path("first.yaml").write_text(text.replace("workers: 0", "workers: 2"))
    Path("second.yaml").write_text(f"{text}after: first.yaml\n")
    children = []

    class Child(subprocess.Popen):
        def __init__(self, command, **kwargs):
            super().__init__(command, **kwargs)
            if "la4vla.fit" in command:
                children.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Child)

    def strike(number: int, whole_group: bool) -> tuple[int, list[int]]:
        reached = []

        def when_trained_a_little() -> None:
            until = time.monotonic() + 120
            while not Path("runs/first/checkpoints/last.ckpt").exists() and time.monotonic() < until:
                time.sleep(0.05)
            reached.extend([children[0], *descendants(children[0])])
            for pid in reached if whole_group else []:
                os.kill(pid, number)
            os.kill(os.getpid(), number)

        watch = threading.Thread(target=when_trained_a_little)
        watch.start()
        with pytest.raises(SystemExit) as end:
            run_verb(lambda: fit.main(["second.yaml"]))
        watch.join()
        return end.value.code, reached

    return strike


@pytest.mark.parametrize(
    ("number", "whole_group", "status"),
    [
        pytest.param(signal.SIGINT, True, 130, id="a terminal's Ctrl-C"),
        pytest.param(signal.SIGTERM, False, 143, id="kill of the parent"),
    ],
)
def test_a_predecessor_in_training_saves_too_and_nobody_is_left(struck_chain, capfd, number, whole_group, status):
    ended, reached = struck_chain(number, whole_group)
    assert ended == status
    said = "".join(capfd.readouterr())
    assert "of 100000, saved in runs/first/checkpoints/last.ckpt. To go on: python -m la4vla.fit first.yaml" in said
    assert not [word for word in ("leaked", "resource_tracker", "Traceback") if word in said]
    assert len(reached) >= 3  # with the two that read data
    until = time.monotonic() + 20
    while (left := [pid for pid in reached if alive(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left
    assert torch.load("runs/first/checkpoints/last.ckpt", weights_only=True)["global_step"] >= 2
    assert not Path("runs/second").exists()
