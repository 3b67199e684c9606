"""Where published files come from: a local folder, or a hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
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
        return Path(snapshot_download(source, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        raise ValueError(f"{key}{source} is no folder, and the hub did not answer for it: {error}") from error
