"""A policy as a folder: ``config.json``, ``model.safetensors``, ``provenance.json``, ``backbone/`` (tokenizer, sizes).

No pickle, no trainer: the configuration names classes of this package and their constructors' arguments, and the
tensors are loaded by name. ``config.json`` is written last, so its presence means that the folder is complete.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from la4vla.models.backbones.base import Backbone
from la4vla.models.folders import read_object, whole_files, write_object
from la4vla.models.heads.base import Head
from la4vla.models.recorded import Recorded
from la4vla.schema.statistics import Domain

if TYPE_CHECKING:
    from la4vla.models.policy import Policy

FORMAT = 2
ROOM = "la4vla.models."
KEYS = {"format", "backbone", "head", "domains", "normalization"}

P = TypeVar("P", bound="Policy")


def save(policy: Policy, folder: Path) -> None:
    """Writes ``policy`` into ``folder``, each file atomically; an older policy there is replaced once that worked."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in policy.state_dict().items()}
    config = configuration(policy)
    with whole_files(folder, "backbone", "model.safetensors", "provenance.json", "config.json") as scratch:
        policy.backbone.save_structure(scratch / "backbone")
        save_file(tensors, scratch / "model.safetensors")
        write_object(scratch / "provenance.json", policy.provenance, str)
        write_object(scratch / "config.json", config)
        # The older policy is whole until everything of the new one is written; from here on it is neither.
        (folder / "config.json").unlink(missing_ok=True)


def configuration(policy: Policy) -> dict[str, Any]:
    """What ``config.json`` holds: the classes, their constructors' arguments, the domains and their use."""
    return {
        "format": FORMAT,
        "backbone": _described(policy.backbone),
        "head": _described(policy.head),
        "domains": [domain.to_json() for domain in policy.domains],
        "normalization": policy.normalization,
    }


def _described(module: Recorded) -> dict[str, Any]:
    cls = type(module)
    return {"class": f"{cls.__module__}.{cls.__qualname__}", "arguments": module.arguments}


def load(cls: type[P], folder: Path) -> P:
    """The policy that :func:`save` wrote into ``folder``, on the CPU in evaluation mode.

    Raises:
        ValueError: If the folder is no complete policy of this format, or its tensors do not fit its configuration.
    """
    config = read_object(folder / "config.json", f"{folder} holds no finished policy: config.json is missing.")
    policy = structured(cls, config, folder / "backbone", folder)
    fill(policy, _read(folder / "model.safetensors"), folder / "model.safetensors")
    provenance = folder / "provenance.json"
    if provenance.is_file():  # policies saved before it was written have none
        policy.provenance = read_object(provenance, f"{provenance} is missing.")
    return policy.eval()


def structured(cls: type[P], config: dict[str, Any], structure: Path, source: Path) -> P:
    """The policy of a configuration, with random weights.

    Args:
        cls: Class of the policy.
        config: As :func:`configuration` gave it.
        structure: Folder of what the backbone saved of its structure.
        source: Where this was read from, for messages.

    Raises:
        ValueError: If the configuration is of another format.
    """
    _check(config, source)
    backbone_class, arguments = _resolved(config["backbone"], Backbone)
    backbone = backbone_class.rebuild(arguments, structure)
    head_class, arguments = _resolved(config["head"], Head)
    domains = [Domain.from_json(domain) for domain in config["domains"]]
    return cls(backbone, head_class(**arguments), domains, config["normalization"])


def _check(config: dict[str, Any], source: Path) -> None:
    if config.get("format") != FORMAT:
        raise ValueError(
            f"The configuration of {source} has format {config.get('format')}, this la4vla reads {FORMAT}: use the "
            "version that wrote it."
        )
    if config.keys() != KEYS:
        raise ValueError(
            f"The configuration of {source} must have exactly the keys {sorted(KEYS)}, differing in "
            f"{sorted(config.keys() ^ KEYS)}."
        )


def _resolved(described: dict[str, Any], base: type[Any]) -> tuple[Any, dict[str, Any]]:
    """The class a configuration names, and arguments its constructor takes."""
    name = described["class"]
    module, _, qualname = name.rpartition(".")
    found = None
    if name.startswith(ROOM) and importlib.util.find_spec(module):
        found = getattr(importlib.import_module(module), qualname, None)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise ValueError(f"config.json names '{name}', which is no {base.__name__} of la4vla.models.")
    parameters = inspect.signature(found).parameters
    # An argument that this configuration is too old to know takes its default, which keeps the old behaviour.
    arguments = {k: p.default for k, p in parameters.items() if p.default is not p.empty} | described["arguments"]
    differing = sorted(arguments.keys() ^ parameters.keys())
    if differing:
        raise ValueError(f"config.json gives {qualname} other arguments than it takes, differing in {differing}.")
    return found, arguments


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"{path} is missing.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): copy it again.") from error


def fill(policy: Policy, tensors: dict[str, Tensor], source: Path) -> None:
    """Load ``tensors``, read from ``source``, into ``policy``: all of them, and nothing else.

    Raises:
        ValueError: If one is missing, unknown or of another shape.
    """
    expected = policy.state_dict()
    missing, surplus = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or surplus:
        raise ValueError(f"{source} lacks the tensors {missing[:3]} and has unknown ones {surplus[:3]}.")
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape:
            raise ValueError(
                f"{source} holds '{name}' of shape {tuple(tensors[name].shape)}, its configuration asks for "
                f"{tuple(tensor.shape)}."
            )
    policy.load_state_dict(tensors)
