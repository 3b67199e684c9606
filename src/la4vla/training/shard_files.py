"""Checkpoints of sharded weights: one file as a single process would write it, or a folder of everybody's parts."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as read_parts
from torch.distributed.checkpoint.state_dict_saver import save as write_parts
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

REST = "rest.pt"
OPTIMIZER = "optimizer"


def whole(state: dict[str, Any]) -> dict[str, Any]:
    """``state`` with whole tensors on the CPU in place of sharded ones, on the first process.

    Every process must call it; the others, which have no use for them, get empty tensors.
    """
    gathered: dict[str, Any] = tree_map_only(DTensor, _whole, state)
    return gathered


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a folder of parts; ``path`` becomes a link to it once all parts are on disk.

    A link, because a folder cannot take the place of another in one step.
    """
    name = [f".{path.name}.{uuid.uuid4().hex[:8]}"]
    dist.broadcast_object_list(name)
    folder = path.with_name(name[0])
    optimizers = checkpoint.pop("optimizer_states", [])
    tensors = {**checkpoint.pop("state_dict"), **_flat(optimizers)}
    write_parts(tensors, storage_writer=FileSystemWriter(folder))
    if dist.get_rank() == 0:
        checkpoint["param_groups"] = [optimizer["param_groups"] for optimizer in optimizers]
        torch.save(checkpoint, folder / REST)
        link = folder.with_suffix(".link")
        link.symlink_to(folder.name)
        link.replace(path)
        for other in path.parent.glob(f".{path.name}.*"):
            if other != folder:
                shutil.rmtree(other)
    dist.barrier()


def load(path: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Any]:
    """Fill ``model`` and ``optimizers`` from what :func:`save` or a single process wrote; returns all the rest."""
    if path.is_dir():
        checkpoint, states = _load_parts(path, model, optimizers)
    else:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        weights, states = checkpoint.pop("state_dict"), checkpoint.pop("optimizer_states")
        set_model_state_dict(model, weights, options=StateDictOptions(full_state_dict=True, broadcast_from_rank0=True))
    for optimizer, state in zip(optimizers, states, strict=True):
        like = _parameters(optimizer)
        shards = {i: {k: _like(v, like[i]) for k, v in values.items()} for i, values in state["state"].items()}
        optimizer.load_state_dict({**state, "state": shards})
    return checkpoint


def _load_parts(path: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> tuple[dict[str, Any], list[Any]]:
    """The weights go into ``model``; the rest, and the states of ``optimizers`` as sharded tensors, are returned."""
    checkpoint = torch.load(path / REST, map_location="cpu", weights_only=True)
    reader = FileSystemReader(path)
    states: list[Any] = [{"state": {}, "param_groups": groups} for groups in checkpoint.pop("param_groups")]
    for name, stored in reader.read_metadata().state_dict_metadata.items():
        if name.startswith(f"{OPTIMIZER}/") and isinstance(stored, TensorStorageMetadata):
            _, which, index, key = name.split("/")
            parameter = _parameters(optimizers[int(which)])[int(index)]
            empty = torch.zeros(stored.size, dtype=stored.properties.dtype)
            shaped = torch.zeros_like(parameter) if stored.size == parameter.shape else empty
            states[int(which)]["state"].setdefault(int(index), {})[key] = shaped
    weights = model.state_dict()
    read_parts({**weights, **_flat(states)}, storage_reader=reader)
    model.load_state_dict(weights)
    return checkpoint, states


def _flat(optimizers: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    return {
        f"{OPTIMIZER}/{which}/{index}/{key}": value
        for which, optimizer in enumerate(optimizers)
        for index, values in optimizer["state"].items()
        for key, value in values.items()
    }


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """In the order by which optimizers number their state."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _whole(shard: DTensor) -> Tensor:
    full = shard.full_tensor()
    return full.cpu() if dist.get_rank() == 0 else torch.empty(0)


def _like(value: Tensor, parameter: nn.Parameter) -> Tensor:
    if isinstance(parameter, DTensor) and not isinstance(value, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value
