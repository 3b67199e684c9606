"""LeRobot's folder: ``model.safetensors``, ``config.json``, and statistics in the normalizer's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from la4vla.models.normalizer import Normalization
from la4vla.models.published import vlm_names
from la4vla.models.published.contents import Published, checked, claims, read_json
from la4vla.models.published.lerobot_names import LEROBOT

WEIGHTS, STATISTICS = "model.safetensors", "policy_preprocessor_step_*_normalizer_processor.safetensors"
REQUIRED = {"type": "evo1", "action_head": "flowmatching", "return_cls_only": False}
CLAIMS = {
    "embed_dim": "width", "chunk_size": "horizon", "max_action_dim": "action_dim",
    "max_state_dim": "proprioception_dim", "num_layers": "layers", "num_heads": "heads", "hidden_dim": "hidden",
    "state_hidden_dim": "proprioception_hidden", "dropout": "dropout",
}  # fmt: skip
NORMALIZATIONS: dict[str, Normalization] = {"MIN_MAX": "bounds", "QUANTILES": "quantiles", "MEAN_STD": "zscore"}
DEFAULT_STEPS, DEFAULT_VIEWS = 32, 3


def is_lerobot(folder: Path) -> bool:
    """Whether ``folder`` holds a policy of LeRobot's; config.json says so by a type."""
    path = folder / "config.json"
    return (folder / WEIGHTS).is_file() and path.is_file() and "type" in read_json(path)


def read(folder: Path) -> Published:
    """What LeRobot's checkpoint in ``folder`` holds.

    Raises:
        ValueError: If a file is missing, damaged, or describes another architecture.
    """
    path = folder / "config.json"
    config = read_json(path)
    checked(path, config, REQUIRED)
    modes = {key: config.get("normalization_mapping", {}).get(key, "MIN_MAX") for key in ("STATE", "ACTION")}
    if modes["STATE"] != modes["ACTION"] or modes["STATE"] not in NORMALIZATIONS:
        raise ValueError(f"{path} normalises by {modes}; a policy here uses one of {[*NORMALIZATIONS]} for both.")
    gripper = "LeRobot makes the gripper's action binary after the policy; here the robot's side has to do that."
    return Published(
        path=folder / WEIGHTS,
        tensors=_load(folder / WEIGHTS),
        rules=LEROBOT,
        claims=claims(config, CLAIMS),
        statistics=_statistics(folder),
        normalization=NORMALIZATIONS[modes["STATE"]],
        integration_steps=int(config.get("num_inference_timesteps", DEFAULT_STEPS)),
        views=int(config.get("max_views", DEFAULT_VIEWS)),
        vlm=vlm_names.repository(config.get("vlm_model_name")),
        notes=(gripper,) if config.get("binarize_gripper") else (),
    )


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): copy it again.") from error


def _statistics(folder: Path) -> dict[str, Any]:
    """The flat ``feature.statistic`` tensors as nested lists."""
    files = sorted(folder.glob(STATISTICS))
    if len(files) != 1:
        raise ValueError(f"{folder} must hold one file {STATISTICS} with the statistics, found {len(files)}.")
    nested: dict[str, Any] = {}
    for name, tensor in _load(files[0]).items():
        feature, _, statistic = name.rpartition(".")
        nested.setdefault(feature, {})[statistic] = tensor.double().tolist()
    return nested
