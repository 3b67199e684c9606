"""The exported folder in the hands of those it is written for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from la4vla.models.policy import Policy
from la4vla.models.published import official_folder

# A module of these tensors in DeepSpeed's own engine, which loads the folder strictly, as the official code does.
LOADS = """
import argparse, sys, torch, deepspeed
from torch import nn
folder, tag, store = sys.argv[1:]
stored = torch.load(f"{folder}/{tag}/mp_rank_00_model_states.pt", weights_only=True)["module"]

def blank():
    whole = nn.Module()
    for name, tensor in stored.items():
        *path, last = name.split(".")
        node = whole
        for part in path:
            if part not in node._modules:
                node.add_module(part, nn.Module())
            node = node._modules[part]
        sevens = torch.full(tensor.shape, 7.0)
        node.register_buffer(last, sevens) if last == "pe" else node.register_parameter(last, nn.Parameter(sevens))
    return whole

torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
for stage in (0, 2):
    model = blank()
    config = {"train_micro_batch_size_per_gpu": 1, "zero_allow_untested_optimizer": True}
    engine, *_ = deepspeed.initialize(
        args=argparse.Namespace(device_rank=0), model=model, config={**config, "zero_optimization": {"stage": stage}},
        dist_init_required=False, optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3),
    )
    path, _ = engine.load_checkpoint(folder, tag=tag, load_optimizer_states=False)
    loaded = engine.module.state_dict()
    assert path.endswith("mp_rank_00_model_states.pt") and loaded.keys() == stored.keys()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in stored.items())
    assert (engine.global_steps, engine.skipped_steps, engine.global_samples) == (0, 0, 0)
print("equal", len(stored))
"""
ALONE = {"DS_ACCELERATOR": "cpu", "LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1"}


@pytest.fixture
def exported(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], tmp_path: Path
) -> Callable[[bool], Path]:
    """``exported(compat)``: the folder of a policy that came from an official one."""

    def export(compat: bool) -> Path:
        official_folder.write(load_official(save_official(), compat=compat), tmp_path / "exported")
        return tmp_path / "exported"

    return export


@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra deepspeed")
def test_deepspeed_loads_every_tensor(exported: Callable[[bool], Path], tmp_path: Path) -> None:
    folder = exported(False)
    command = [sys.executable, "-c", LOADS, str(folder.parent), folder.name, str(tmp_path / "store")]
    done = subprocess.run(command, env={**os.environ, **ALONE}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"equal {len(official_folder.load_tensors(folder / official_folder.DEEPSPEED))}" in done.stdout


@pytest.mark.parametrize("compat", [False, True])
def test_what_deepspeed_reads_is_plain_integers(exported: Callable[[bool], Path], compat: bool) -> None:
    content = torch.load(exported(compat) / official_folder.DEEPSPEED, weights_only=True)
    counts = {name: value for name, value in content.items() if name != "module"}
    assert counts == {
        "dp_world_size": 1, "mp_world_size": 1, "global_steps": 0, "global_samples": 0, "skipped_steps": 0,
    }  # fmt: skip
    assert all(type(value) is int for value in counts.values())
