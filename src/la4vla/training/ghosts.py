"""Ghosts: samples that let every process run the same modules the same number of times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from la4vla.schema.batch import Batch


def alike(batch: Batch, views: int, device: torch.device) -> Batch:
    """``batch`` with a ghost at its end for each number of visible views that only other processes have samples of.

    Where weights are gathered when a module runs, all processes must run it; a policy runs once for each number of
    views and its vision only where there is something to see. Every process must call this; ghosts have losses too,
    which the caller leaves out.

    Args:
        batch: This process's share.
        views: Most views per sample.
        device: Where processes exchange numbers.
    """
    own = torch.bincount(batch.visible.sum(1).cpu(), minlength=views + 1).clamp(max=1)
    present = own.to(device, copy=True)
    dist.all_reduce(present, op=dist.ReduceOp.MAX)
    return with_ghosts(batch, (present.cpu() - own).nonzero()[:, 0].tolist())


def with_ghosts(batch: Batch, counts: Iterable[int]) -> Batch:
    """``batch`` and, for each of ``counts``, its first sample once more, seeing so many black images."""
    for count in counts:
        batch = _with_ghost(batch, count)
    return batch


def _with_ghost(batch: Batch, count: int) -> Batch:
    index = batch.image_index.new_full((1, batch.image_index.shape[1]), -1)
    index[0, :count] = torch.arange(len(batch.images), len(batch.images) + count, device=index.device)
    return replace(
        batch,
        images=F.pad(batch.images, (0, 0, 0, 0, 0, 0, 0, count)),
        image_index=torch.cat([batch.image_index, index]),
        instructions=(*batch.instructions, batch.instructions[0]),
        proprioception=_first_again(batch.proprioception),
        embodiments=(*batch.embodiments, batch.embodiments[0]),
        actions=None if batch.actions is None else _first_again(batch.actions),
        action_mask=None if batch.action_mask is None else _first_again(batch.action_mask),
        sources=(*batch.sources, batch.sources[0]),
        draw=None if batch.draw is None else _first_again(batch.draw),
    )


def _first_again(values: Tensor) -> Tensor:
    return torch.cat([values, values[:1]])
