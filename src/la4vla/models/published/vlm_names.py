"""What published layouts call the VLM that a policy was made from: an id on the hub, never a folder of one machine."""

from __future__ import annotations

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.hub_access import is_repository

# By width of the language model, which differs between all published sizes. The official code takes structure and
# tokenizer from there, and all weights from the checkpoint.
PUBLISHED = {896: "OpenGVLab/InternVL3-1B-hf", 1536: "OpenGVLab/InternVL3-2B-hf", 3584: "OpenGVLab/InternVL3-8B-hf"}
# transformers' layout has repositories of its own beside those with remote code.
SUFFIX = "-hf"


def of(backbone: InternVL3) -> str:
    """Hub id, in transformers' layout: the one ``backbone`` was made from, else that of its size, else the smallest."""
    named = repository(backbone.arguments["weights"])
    return named or PUBLISHED.get(backbone.width, PUBLISHED[896])


def repository(name: object) -> str | None:
    """``name`` if it can be a hub id and is no folder here."""
    return str(name) if is_repository(name) else None


def from_official(name: object) -> str | None:
    """The id in transformers' layout of what the official code calls ``name``; None if that is a folder or nothing."""
    found = repository(name)
    return found and found.removesuffix(SUFFIX) + SUFFIX


def to_official(name: str) -> str:
    """The repository with remote code of the same model."""
    return name.removesuffix(SUFFIX)
