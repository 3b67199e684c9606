"""What a model trains on: one contract, written once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """``B`` samples, right-padded over steps and dimensions. Masks are True where valid.

    Args:
        images: ``(n, 3, h, w)`` uint8: only the views that exist and are visible, so an LA batch holds none.
        image_index: ``(B, V)`` int64: which row of ``images`` fills which view; -1 where absent or masked.
        instructions: ``B`` strings.
        proprioception: ``(B, S)`` float32, physical units, zeros beyond the embodiment's own dimensions.
        embodiments: ``B`` embodiment names.
        actions: ``(B, H, A)`` float32, physical units; None at inference.
        action_mask: ``(B, H, A)`` bool: False on padded steps and on padded dimensions; None at inference.
        sources: ``B`` names of the mixture source each sample came from.
        draw: ``(B,)`` int64: each sample's own random seed, a function of the run's seed and of the sample's position
            in the stream alone. What is random in a loss derives from it, so that a loss does not depend on the
            number of processes, workers or restarts. None at inference.
    """

    images: Tensor
    image_index: Tensor
    instructions: tuple[str, ...]
    proprioception: Tensor
    embodiments: tuple[str, ...]
    actions: Tensor | None = None
    action_mask: Tensor | None = None
    sources: tuple[str, ...] = ()
    draw: Tensor | None = None

    def __len__(self) -> int:
        return len(self.instructions)

    @property
    def visible(self) -> Tensor:
        """``(B, V)`` bool: which views can be seen."""
        return self.image_index >= 0

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch with its tensors on ``device``."""
        moved: dict[str, Any] = {k: v.to(device, non_blocking=non_blocking) for k, v in self._tensors().items()}
        return replace(self, **moved)

    def pin_memory(self) -> Batch:
        """The same batch with its tensors in page-locked memory."""
        pinned: dict[str, Any] = {k: v.pin_memory() for k, v in self._tensors().items()}
        return replace(self, **pinned)

    def rows(self, index: Tensor) -> Batch:
        """The samples ``index`` (int64, on any device), with only the images they see."""
        image_index = self.image_index[index.to(self.image_index.device)]
        seen, inverse = torch.unique(image_index[image_index >= 0], return_inverse=True)
        image_index = image_index.clone()
        image_index[image_index >= 0] = inverse
        rows = index.tolist()
        changed: dict[str, Any] = {
            k: v[index.to(v.device)] for k, v in self._tensors().items() if k not in ("images", "image_index")
        }
        for name in ("instructions", "embodiments", "sources"):
            values = getattr(self, name)
            changed[name] = tuple(values[i] for i in rows) if values else ()
        return replace(self, images=self.images[seen], image_index=image_index, **changed)

    def _tensors(self) -> dict[str, Tensor]:
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
