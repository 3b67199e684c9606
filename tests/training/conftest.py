"""A workspace with every shard set the recipes name, tiny and made up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from la4vla.simulators.metaworld import METAWORLD

ROOT = Path(__file__).parents[2]
SETS = {"la": False, "vla": True, "heldout_la": False, "downstream": True}


@pytest.fixture
def workspace(tmp_path, tiny_shards, monkeypatch):
    """The current folder, holding ``shards/metaworld/...`` as the recipes of this repository expect it."""
    for name, frames in SETS.items():
        folder = tmp_path / "shards" / "metaworld" / name
        tiny_shards(folder, embodiment=METAWORLD, frames=frames, records=12, size_px=64, view="evo1_64")
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
