"""From a plan to a batch: read, decode and pad what the samples hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange

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


class Assembly:
    """What turns a :class:`Plan` into the batch it describes.

    Args:
        feeds: The sources, in the order of the plan's indices.
        views: Views per sample (``V``): the largest number of cameras of any embodiment.
        size_px: Height and width of every image; 0 where no source is visible.
        augment: What to do to visible images, or None.
    """

    def __init__(self, feeds: Sequence[Feed], views: int, size_px: int, augment: Augmentation | None = None) -> None:
        self._feeds, self.views, self._size_px, self._augment = list(feeds), views, size_px, augment
        shards = [feed.windows.shards for feed in feeds]
        self._proprioception_dim = max(s.proprioception.shape[1] for s in shards)
        self._action_dim = max(s.actions.shape[1] for s in shards)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one decoded image."""
        return self._size_px, self._size_px, 3

    def batch(self, plan: Plan, images: torch.Tensor | None = None) -> Batch:
        """The batch ``plan`` describes; ``images`` are what :meth:`images` has made of it elsewhere."""
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
        return Batch(
            images=self.images(plan) if images is None else images,
            image_index=torch.from_numpy(self._places(plan)[0]),
            instructions=tuple(words[0]),
            proprioception=torch.from_numpy(proprioception),
            embodiments=tuple(words[1]),
            actions=torch.from_numpy(actions),
            action_mask=torch.from_numpy(mask),
            sources=tuple(words[2]),
            draw=torch.from_numpy(plan.draw),
        )

    def images(self, plan: Plan, memory: np.ndarray | None = None) -> torch.Tensor:
        """Images ``(n, 3, h, w)`` in the order of samples, then views.

        Args:
            plan: Which samples.
            memory: ``(at least n, h, w, 3)`` uint8, where the images are put if given.
        """
        image_index, frames = self._places(plan)
        samples, views = np.nonzero(image_index >= 0)
        # the bytes stay in the order the decoder writes them, which torch calls channels_last
        shape = len(samples), *self.image_shape
        pixels = np.empty(shape, dtype=np.uint8) if memory is None else memory[: len(samples)]
        for source, feed in enumerate(self._feeds):
            for view, camera in enumerate(feed.cameras):
                at = np.flatnonzero((plan.source[samples] == source) & (views == view))
                feed.windows.shards.decode_frames(frames[samples[at], view], camera, pixels, at)
        images = rearrange(torch.from_numpy(pixels), "n h w c -> n c h w")
        if self._augment is not None:
            self._augment(images, plan.draw[samples], views)
        return images

    def _places(self, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
        """``(B, V)`` each: which image fills which view, -1 where none does, and the frame it shows."""
        image_index = np.full((len(plan.source), self.views), -1, dtype=np.int64)
        frames = np.zeros_like(image_index)
        for source, feed in enumerate(self._feeds):
            if feed.windows.frames is None:
                continue
            rows = np.flatnonzero(plan.source == source)
            shown = np.array([camera in feed.windows.shards.cameras for camera in feed.cameras])
            image_index[rows, : len(shown)] = np.where(shown, 0, -1)
            frames[rows] = feed.windows.frames[plan.window[rows], None]
        seen = image_index == 0
        image_index[seen] = np.arange(seen.sum())
        return image_index, frames
