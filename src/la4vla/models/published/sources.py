"""Where published files come from: a local folder, or a hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from la4vla.models.hub_access import REPOSITORY, snapshot

# Not the optimizer's state, which is several times larger than the weights.
CHECKPOINT = ("*.json", "*.safetensors", "backbone/*", "mp_rank_00_model_states.pt", "checkpoint.pt")


def local(source: str, patterns: Sequence[str], key: str = "") -> Path:
    """The folder ``source``, or one with the files of the hub repository ``source``, ``owner/name``.

    Args:
        source: Folder or repository.
        patterns: Files wanted from a repository.
        key: What stands before ``source`` in a message (``vlm=``).

    Raises:
        ValueError: If it is neither, or the hub cannot be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    if not REPOSITORY.fullmatch(source):
        raise ValueError(f"{key}{source} is neither a folder nor a hub repository (owner/name).")
    try:
        return snapshot(source, patterns)
    except OSError as error:
        raise ValueError(f"{key}{source} is no folder, and {error}") from error
