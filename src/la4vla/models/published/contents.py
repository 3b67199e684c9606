"""What a published checkpoint holds, whatever its layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from la4vla.models.folders import read_object
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.normalizer import Normalization
from la4vla.models.published.renaming import Rule

# Modules that may hold one weight per category; names as in the official layout.
BANKED = re.compile(r"(.*\.(?:(?:state_encoder|mlp_head)\.fc[12]|action_encoder\.W[123]))\.(weight|bias)")


@dataclass(frozen=True)
class Published:
    """A checkpoint before it becomes a policy.

    Args:
        path: The file its tensors came from, for messages.
        tensors: By published name.
        rules: What those names are in a policy.
        claims: What the configuration says about the head, by argument of its constructor, with ``width``.
        statistics: Of all data it was trained on: by arm and data set, by arm alone, or without either.
        normalization: How those statistics are used.
        integration_steps: Euler steps its own code takes.
        views: View slots of its prompt.
        vlm: Hub id of the VLM it was trained from, in transformers' layout, where its configuration tells one.
        notes: What its own code does beyond the policy, as sentences.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    rules: Sequence[Rule]
    claims: Mapping[str, float]
    statistics: Mapping[str, Any]
    normalization: Normalization
    integration_steps: int
    views: int
    vlm: str | None = None
    notes: tuple[str, ...] = ()


def read_json(path: Path) -> dict[str, Any]:
    """The object in the JSON file ``path``.

    Raises:
        ValueError: If the file is missing, damaged, or holds something else.
    """
    return read_object(path, f"{path} is missing: a published checkpoint needs it beside its weights.")


def checked(path: Path, config: Mapping[str, Any], required: Mapping[str, object]) -> None:
    """Refuses a configuration of another architecture; keys it lacks have the required value by default.

    Raises:
        ValueError: If a key of ``required`` has another value.
    """
    for key, value in required.items():
        if config.get(key, value) != value:
            raise ValueError(f"{path} has {key}={config[key]!r}; only {value!r} can become a policy here.")


def claims(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, float]:
    """What ``config`` says, under the names of the head's arguments; ``names`` maps one to the other."""
    return {ours: config[theirs] for theirs, ours in names.items() if config.get(theirs) is not None}


def configured(head: FlowMatchingHead, names: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of :func:`claims`: the arguments of ``head`` under published names."""
    arguments = {**head.arguments, "proprioception_hidden": head.arguments["hidden"]}
    return {theirs: arguments[ours] for theirs, ours in names.items()}


def one_category(tensors: Mapping[str, Tensor], category: int | None, path: Path) -> dict[str, Tensor]:
    """Banks of one weight per category, ``(C, in, out)``, cut down to the linear layer of one.

    Raises:
        ValueError: If there are banks and ``category`` names none of their rows, or names one where there are no banks.
    """
    banks = {name for name, tensor in tensors.items() if (m := BANKED.fullmatch(name)) and m[2] == "weight"}
    size = min((len(tensors[name]) for name in banks), default=0)
    if not banks:
        if category is not None:
            raise ValueError(f"{path} has one set of weights for all categories: leave category= out.")
        return dict(tensors)
    if category is None or not 0 <= category < size:
        given = "" if category is None else f", not {category}"
        raise ValueError(f"{path} holds weights for {size} categories: choose category=0 to {size - 1}{given}.")
    cut: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := BANKED.fullmatch(name):
            cut[f"{match[1]}.linear.{match[2]}"] = tensor[category].T if match[2] == "weight" else tensor[category]
        else:
            cut[name] = tensor
    return cut
