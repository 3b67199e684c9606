"""A policy out of a trainer's checkpoint (``best.ckpt``, ``last.ckpt``), before its run has finished and exported one.

The trainer's file holds the weights; :func:`description` is what it needs besides, to say what they are weights of. It
is read as tensors and plain values: nothing in it is executed.
"""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from la4vla.models import checkpoint
from la4vla.models.folders import read_object

if TYPE_CHECKING:
    from la4vla.models.policy import Policy

SUFFIX = ".ckpt"
KEY = "policy"
# The policy's names inside the module that trains it.
PREFIX = "policy."
BASE, FIRST, SECOND = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"

P = TypeVar("P", bound="Policy")


def is_checkpoint(path: Path) -> bool:
    """Whether ``path`` names a trainer's checkpoint rather than a policy's folder."""
    return path.suffix == SUFFIX


def run_of(policy: Path) -> Path:
    """The folder of the run that wrote ``policy``, which is ``RUN/policy`` or ``RUN/checkpoints/NAME.ckpt``."""
    return policy.parent.parent if is_checkpoint(policy) else policy.parent


def name_of(policy: Path) -> str:
    """The run's name, with the checkpoint's where it is none of a finished run: ``la_vla``, or ``la_vla_last``."""
    return f"{run_of(policy).name}_{policy.stem}" if is_checkpoint(policy) else run_of(policy).name


def description(policy: Policy, adapter_scale: float | None = None) -> dict[str, Any]:
    """All that a policy is besides its tensors, as text.

    Args:
        policy: What is trained.
        adapter_scale: With low-rank adapters, the factor before ``B A``.
    """
    with tempfile.TemporaryDirectory() as folder:
        policy.backbone.save_structure(Path(folder))
        structure = {file.name: file.read_text(encoding="utf-8") for file in sorted(Path(folder).iterdir())}
    config = json.dumps(checkpoint.configuration(policy))
    return {"config": config, "structure": structure, "adapter_scale": adapter_scale}


def load(cls: type[P], path: Path) -> P:
    """The policy whose training ``path`` is a state of, on the CPU in evaluation mode.

    Averaged weights are taken where weights are averaged, adapters are merged: it is the policy that the run would
    export if it ended there. Its provenance is the run's so far, with the number of steps.

    Raises:
        ValueError: If the file is missing, damaged, no checkpoint of this package, or in parts.
    """
    state = _read(path)
    described = state[KEY]
    tensors = {name.removeprefix(PREFIX): t for name, t in state["state_dict"].items() if name.startswith(PREFIX)}
    if described["adapter_scale"] is not None:
        tensors = _merged(tensors, described["adapter_scale"])
    with tempfile.TemporaryDirectory() as folder:
        for name, text in described["structure"].items():
            (Path(folder) / Path(name).name).write_text(text, encoding="utf-8")
        policy = checkpoint.structured(cls, json.loads(described["config"]), Path(folder), path)
    checkpoint.fill(policy, tensors, path)
    policy.provenance = {**_provenance(path), "results": {"steps": state["global_step"]}}
    return policy.eval()


def steps_of(path: Path) -> int:
    """Optimizer steps behind a checkpoint.

    Raises:
        ValueError: As :func:`load`.
    """
    return int(_read(path)["global_step"])


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise ValueError(
            f"{path} is in parts, one of each process, which only training reads: go on with its run and "
            "trainer.strategy.init_args.sharded_checkpoints=false, whose next checkpoint is one file."
        )
    if not path.is_file():
        raise ValueError(f"There is no checkpoint {path}: name one that its run has written.")
    try:
        state: Any = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds more than tensors and plain values, which is never run here.") from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged: take another checkpoint of its run.") from error
    if not _is_described(state):
        raise ValueError(f"{path} does not say what policy its weights are of: name a checkpoint that fit has written.")
    checked: dict[str, Any] = state
    return checked


def _is_described(state: Any) -> bool:
    if not isinstance(state, dict) or not {KEY, "state_dict", "global_step"} <= state.keys():
        return False
    return isinstance(state[KEY], dict) and state[KEY].keys() == {"config", "structure", "adapter_scale"}


def _merged(tensors: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Plain names and weights in place of adapted ones: ``W + scale * B A``."""
    plain = {name.replace(BASE, "."): tensor for name, tensor in tensors.items() if ".lora_" not in name}
    for name in tensors:
        if name.endswith(FIRST):
            layer = name.removesuffix(FIRST)
            weight = plain[f"{layer}.weight"]
            plain[f"{layer}.weight"] = weight + (tensors[layer + SECOND] @ tensors[name]) * scale
    return plain


def _provenance(path: Path) -> dict[str, Any]:
    """What the run has noted so far; nothing where the checkpoint was moved out of its folder."""
    noted = run_of(path) / "provenance.json"
    return {**(read_object(noted, "") if noted.is_file() else {}), "checkpoint": str(path)}
