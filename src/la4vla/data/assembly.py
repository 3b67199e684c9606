"""From a plan to a batch: read, decode and pad what the samples hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch.utils.data import Dataset, get_worker_info

from la4vla.data.chunking import Windows
from la4vla.data.stream import Plan
from la4vla.data.transforms import Augmentation
from la4vla.schema.batch import Batch


@dataclass(frozen=True)
class Feed:
    """One opened source: its name in the mixture and its windows."""

    name: str
    windows: Windows

    @property
    def cameras(self) -> tuple[str, ...]:
        """All cameras of the source's embodiment, in the order of views."""
        return self.windows.shards.manifest.domain.embodiment.cameras


class Assembly(Dataset["Batch | Parcel"]):
    """A map-style dataset whose index is a :class:`Plan` and whose item is the whole batch.

    Args:
        feeds: The sources, in the order of the plan's indices.
        views: Views per sample (``V``): the largest number of cameras of any embodiment.
        size_px: Height and width of every image; 0 where no source is visible.
        augment: What to do to visible images, or None.
    """

    def __init__(self, feeds: Sequence[Feed], views: int, size_px: int, augment: Augmentation | None = None) -> None:
        self._feeds, self._views, self._size_px, self._augment = list(feeds), views, size_px, augment
        shards = [feed.windows.shards for feed in feeds]
        self._proprioception_dim = max(s.proprioception.shape[1] for s in shards)
        self._action_dim = max(s.actions.shape[1] for s in shards)

    def __getitem__(self, plan: Plan) -> Batch | Parcel:
        """The batch ``plan`` describes; inside a worker as a parcel, which is a batch once it arrives."""
        batch = self.batch(plan)
        return batch if get_worker_info() is None else Parcel(batch)

    def batch(self, plan: Plan) -> Batch:
        """The batch ``plan`` describes."""
        size, horizon = len(plan.source), self._feeds[0].windows.horizon
        proprioception = np.zeros((size, self._proprioception_dim), dtype=np.float32)
        actions = np.zeros((size, horizon, self._action_dim), dtype=np.float32)
        mask = np.zeros(actions.shape, dtype=np.bool_)
        words = np.empty((3, size), dtype=object)
        for source, feed in enumerate(self._feeds):
            rows = np.flatnonzero(plan.source == source)
            windows = plan.window[rows]
            chunks = feed.windows.gather(windows)
            proprioception[rows, : chunks.proprioception.shape[-1]] = chunks.proprioception
            actions[rows, :, : chunks.actions.shape[-1]] = chunks.actions
            mask[rows, :, : chunks.actions.shape[-1]] = chunks.valid[..., None]
            words[0, rows] = feed.windows.instructions(windows)
            words[1, rows] = feed.windows.shards.manifest.domain.embodiment.name
            words[2, rows] = feed.name
        images, image_index = self._images(plan)
        return Batch(
            images=images,
            image_index=torch.from_numpy(image_index),
            instructions=tuple(words[0]),
            proprioception=torch.from_numpy(proprioception),
            embodiments=tuple(words[1]),
            actions=torch.from_numpy(actions),
            action_mask=torch.from_numpy(mask),
            sources=tuple(words[2]),
            draw=torch.from_numpy(plan.draw),
        )

    def _images(self, plan: Plan) -> tuple[torch.Tensor, np.ndarray]:
        """Images ``(n, 3, h, w)`` in the order of samples, then views; and which fills which view."""
        image_index = np.full((len(plan.source), self._views), -1, dtype=np.int64)
        frames = np.zeros_like(image_index)
        for source, feed in enumerate(self._feeds):
            if feed.windows.frames is None:
                continue
            rows = np.flatnonzero(plan.source == source)
            shown = np.array([camera in feed.windows.shards.cameras for camera in feed.cameras])
            image_index[rows, : len(shown)] = np.where(shown, 0, -1)
            frames[rows] = feed.windows.frames[plan.window[rows], None]
        samples, views = np.nonzero(image_index == 0)
        image_index[samples, views] = np.arange(len(samples))
        # the bytes stay in the order the decoder writes them, which torch calls channels_last
        images = _empty(len(samples), self._size_px)
        pixels = images.numpy().transpose(0, 2, 3, 1)
        for source, feed in enumerate(self._feeds):
            for view, camera in enumerate(feed.cameras):
                at = np.flatnonzero((plan.source[samples] == source) & (views == view))
                feed.windows.shards.decode_frames(frames[samples[at], view], camera, pixels, at)
        if self._augment is not None:
            self._augment(images, plan.draw[samples], views)
        return images, image_index


class Parcel:
    """A batch on its way out of a worker: images through shared memory, everything else inside the message.

    Passing a tensor through shared memory costs a file descriptor and about 0.4 ms, more than copying a small one.
    Unpickling a parcel gives the batch itself.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __reduce__(self) -> tuple[Any, ...]:
        values = {f.name: getattr(self._batch, f.name) for f in fields(Batch)}
        small = {k: v.numpy() for k, v in values.items() if isinstance(v, torch.Tensor) and k != "images"}
        return _unpack, (values | small,)


def _unpack(values: dict[str, Any]) -> Batch:
    arrived: dict[str, Any] = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return Batch(**arrived)


def _empty(count: int, size_px: int) -> torch.Tensor:
    """Memory for ``(count, 3, size_px, size_px)`` uint8 images, shared already where a worker asks for it."""
    images = torch.empty((count, size_px, size_px, 3), dtype=torch.uint8)
    if get_worker_info() is not None:
        images.share_memory_()  # type: ignore[no-untyped-call]
    return rearrange(images, "n h w c -> n c h w")
