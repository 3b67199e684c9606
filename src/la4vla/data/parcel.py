"""Images on their way from reading processes to the training process.

Sending a tensor between processes costs a file descriptor and fresh shared pages each time: more, for a batch of small
images, than decoding them. So workers decode into shared memory that is laid out once and used again and again, and the
training process copies the images out of it. Numbers and words do not travel at all: the training process has the same
shards open and is quicker to look them up than to receive them.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch.utils.data import Dataset, get_worker_info

from la4vla.data.assembly import Assembly
from la4vla.data.stream import Plan
from la4vla.schema.batch import Batch

PREFETCHED = 2
# A worker is told to read its batch j when its batch j - PREFETCHED was taken from the queue and is about to be copied,
# so PREFETCHED + 1 slots hold live images; one more is a margin.
SLOTS = PREFETCHED + 2


@dataclass(frozen=True)
class Parcel:
    """The images of one batch in transit: where they lie."""

    worker: int
    slot: int
    images: int


class Couriers(Dataset[Parcel]):
    """A map-style dataset for the workers of one DataLoader, whose index is a :class:`Plan`.

    Args:
        assembly: What makes the batches.
        workers: Number of workers, at least 1.
        batch_size: Most samples any plan holds.

    Raises:
        OSError: If the machine has too little shared memory.
    """

    def __init__(self, assembly: Assembly, workers: int, batch_size: int) -> None:
        self._assembly = assembly
        shape = (workers, SLOTS, batch_size * assembly.views, *assembly.image_shape)
        _check_room(math.prod(shape), workers)
        self._memory = torch.empty(shape, dtype=torch.uint8)
        # torch gives this method no types
        self._memory.share_memory_()  # type: ignore[no-untyped-call]
        self._sent = 0

    def __getitem__(self, plan: Plan) -> Parcel:
        """Decode the images of the batch ``plan`` describes; inside a worker."""
        info = get_worker_info()
        assert info is not None
        slot = self._sent % SLOTS
        self._sent += 1
        images = self._assembly.images(plan, self._memory[info.id, slot].numpy())
        return Parcel(info.id, slot, len(images))

    def receive(self, parcel: Parcel, plan: Plan, pinned: bool) -> Batch:
        """The batch of ``plan``, in memory of its own; to be called before the next parcel is asked for.

        Args:
            parcel: What a worker made of ``plan``.
            plan: What it was asked for.
            pinned: Whether the images go to page-locked memory.
        """
        pixels = self._memory[parcel.worker, parcel.slot, : parcel.images]
        # numpy asks for huge pages and torch does not, which makes large images eight times cheaper to touch first
        shape = tuple(pixels.shape)
        copy = torch.from_numpy(np.empty(shape, np.uint8))
        if pinned:
            copy = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        copy.copy_(pixels)
        return self._assembly.batch(plan, rearrange(copy, "n h w c -> n c h w"))


def _check_room(wanted: int, workers: int) -> None:
    """Check that shared memory holds ``wanted`` bytes; writing beyond its end would kill the process without a word."""
    shared = Path("/dev/shm")
    if shared.is_dir() and wanted > (free := shutil.disk_usage(shared).free):
        raise OSError(
            f"{workers} workers need {wanted / 1e6:.0f} MB of shared memory for images, {shared} has {free / 1e6:.0f}. "
            "Use fewer workers or a smaller batch, or enlarge it (docker run --shm-size)."
        )
