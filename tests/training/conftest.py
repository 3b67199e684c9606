"""A workspace with every shard set the recipes name, tiny and made up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from la4vla.data.readers.metaworld_grounded import GROUNDED
from la4vla.simulators.libero_body import LIBERO
from la4vla.simulators.metaworld import METAWORLD

ROOT = Path(__file__).parents[2]
SETS = {
    "metaworld/la": False,
    "metaworld/vla": True,
    "metaworld/heldout_la": False,
    "metaworld_downstream/episodes": True,
}

# The head's warm-up, and batches with and without vision: all that leaves parameters unused.
MIXED = """
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
  batch_size: 4
  workers: 0
checkpoint_every: 2
trainer: {max_steps: 4, log_every_n_steps: 1, accelerator: cpu, precision: 32-true}
"""


@pytest.fixture
def workspace(tmp_path, tiny_shards, monkeypatch):
    """The current folder, holding shard sets as the recipes of this repository expect it."""
    for name, frames in SETS.items():
        folder = tmp_path / "shards" / name
        tiny_shards(
            folder, embodiment=METAWORLD, frames=frames, records=12, size_px=64, view="evo1_64", cameras=["corner2"]
        )
    grounding = tmp_path / "shards" / "metaworld_grounding" / "frames"
    tiny_shards(
        grounding, embodiment=GROUNDED, frames=True, records=12, size_px=64, view="evo1_64", cameras=["corner2"]
    )
    libero = tmp_path / "shards" / "libero" / "downstream"
    tiny_shards(libero, embodiment=LIBERO, frames=True, records=12, size_px=64, view="libero_64")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mixed(workspace):
    """The file of a recipe that several processes can train."""
    (workspace / "mixed.yaml").write_text(MIXED)
    return "mixed.yaml"


@pytest.fixture
def fit_process(workspace):
    """Start ``python -m la4vla.fit`` as a process of its own in the workspace."""

    def start(*words: str, **kwargs) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "la4vla.fit", *words]
        return subprocess.Popen(
            command,
            cwd=workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **kwargs,
        )

    return start


@pytest.fixture(scope="session")
def forks():
    """Processes that come with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["la4vla.training.recipe"])
    return context


@pytest.fixture
def job(workspace, forks):
    """Fit in ``ranks`` processes, started as torchrun starts them; ``dies_at`` kills all before that step."""

    def run(*words: str, ranks: int, dies_at: int | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes, outputs = [], []
        for rank in range(ranks):
            environment = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": ranks}
            environment |= {"LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment |= {"TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": 1}
            outputs.append(workspace / f"rank{rank}.txt")
            told = {
                "words": [*words, f"trainer.devices={ranks}"],
                "environment": {name: str(value) for name, value in environment.items()},
                "output": str(outputs[-1]),
                "dies_at": dies_at,
            }
            rank_file = str(Path(__file__).with_name("rank.py"))
            processes.append(forks.Process(target=run_path, args=(rank_file, {"JOB": told})))
            processes[-1].start()
        for process in processes:
            process.join(120)
            process.kill()
            process.join()
        codes = [process.exitcode for process in processes]
        said = "".join(output.read_text() for output in outputs)
        assert codes == [0 if dies_at is None else -signal.SIGKILL] * ranks, said

    return run
