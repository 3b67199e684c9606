"""Checkpoints that are either whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from la4vla.data.files import written_whole


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the final name, syncs and renames, so that a kill at any moment leaves the previous checkpoint.

    Lightning's own writes to the system's temporary folder first, and moving from another file system is a copy.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` at ``path``."""
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(final) as file:
            torch.save(checkpoint, file)
