"""A policy as LeRobot would have saved it: weights, configuration, and the steps before and after its own model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.folders import new_folder, write_object
from la4vla.models.policy import Policy
from la4vla.models.published import vlm_names
from la4vla.models.published.contents import configured
from la4vla.models.published.domains import ACTION, STATE, to_lerobot
from la4vla.models.published.lerobot_folder import CLAIMS, NORMALIZATIONS, REQUIRED, STATISTICS, WEIGHTS
from la4vla.models.published.lerobot_names import EMBEDDER, LEROBOT
from la4vla.models.published.official_head import OfficialFlowMatchingHead
from la4vla.models.published.policies import halves_of, weights_of
from la4vla.models.published.precision import narrowed
from la4vla.models.published.renaming import to_theirs
from la4vla.schema.statistics import Domain

NORMALIZER = STATISTICS.replace("*", "4")
UNNORMALIZER = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"


def write(policy: Policy, folder: Path) -> None:
    """Writes ``policy`` as a folder for LeRobot's ``Evo1Policy``; it appears when it is complete.

    The VLM and the head are each bfloat16 if that loses nothing, else float32; the fixed tables are float32.

    Raises:
        ValueError: If LeRobot cannot run this policy as it is, or ``folder`` exists.
    """
    backbone, head = halves_of(policy, "LeRobot's")
    if isinstance(head, OfficialFlowMatchingHead):
        raise ValueError("This policy runs the official arithmetic, which LeRobot has not: import without compat=true.")
    if len(policy.domains) != 1:
        raise ValueError(f"LeRobot's layout knows one robot, this policy has {len(policy.domains)}.")
    tensors = narrowed(to_theirs(weights_of(policy), LEROBOT), (EMBEDDER,), False)
    vlm = next(tensor.dtype for name, tensor in tensors.items() if name.startswith(EMBEDDER))
    modes = {ours: theirs for theirs, ours in NORMALIZATIONS.items()}
    norm_map = {"VISUAL": "IDENTITY", **dict.fromkeys(("STATE", "ACTION"), modes[policy.normalization])}
    features = _features(policy.domains[0], backbone)
    config = {
        **REQUIRED, **configured(head, CLAIMS), "num_categories": 1, "n_action_steps": head.horizon,
        "num_inference_timesteps": head.integration_steps, "max_views": backbone.views,
        "image_resolution": [backbone.image_px] * 2, "vlm_num_layers": len(backbone.model.language_model.layers),
        "vlm_model_name": vlm_names.of(backbone),
        "vlm_dtype": str(vlm).removeprefix("torch."), "normalization_mapping": norm_map,
        "input_features": {name: one for name, one in features.items() if name != ACTION},
        "output_features": {ACTION: features[ACTION]},
    }  # fmt: skip
    statistics = to_lerobot(policy.domains[0], policy.normalization, head.proprioception_dim, head.action_dim)
    with new_folder(folder) as whole:
        save_file(tensors, whole / WEIGHTS)
        for name in (NORMALIZER, UNNORMALIZER):
            save_file({key: torch.from_numpy(values) for key, values in statistics.items()}, whole / name)
        for name, steps in _steps(config, features, norm_map).items():
            write_object(whole / f"{name}.json", {"name": name, "steps": steps})
        write_object(whole / "config.json", config)


def _features(domain: Domain, backbone: InternVL3) -> dict[str, dict[str, Any]]:
    """Name, kind and shape of everything that goes in and comes out."""
    body, view = domain.embodiment, domain.view
    side = view.size_px if view else backbone.image_px
    images = {f"observation.images.{camera}": [3, side, side] for camera in body.cameras}
    return {
        **{name: {"type": "VISUAL", "shape": shape} for name, shape in images.items()},
        STATE: {"type": "STATE", "shape": [len(body.proprioception)]},
        ACTION: {"type": "ACTION", "shape": [len(body.actions)]},
    }


def _steps(
    config: Mapping[str, Any], features: Mapping[str, Any], norm_map: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The two pipelines, in LeRobot's own names. Statistics and features are padded to the head's dimensions."""
    state, action = ({"type": kind, "shape": [config[f"max_{kind.lower()}_dim"]]} for kind in ("STATE", "ACTION"))

    def step(name: str, state_file: str | None = None, **settings: Any) -> dict[str, Any]:
        told: dict[str, Any] = {"registry_name": name, "config": settings}
        return told | ({"state_file": state_file} if state_file else {})

    padded = {**features, STATE: state, ACTION: action}
    scaled = {"eps": 1e-8, "norm_map": norm_map}
    return {
        "policy_preprocessor": [
            step("rename_observations_processor", rename_map={}),
            step("to_batch_processor"),
            step("evo1_pad_state_processor", max_state_dim=config["max_state_dim"]),
            step("evo1_pad_action_processor", max_action_dim=config["max_action_dim"]),
            step("normalizer_processor", NORMALIZER, features=padded, **scaled),
            step("device_processor", device="cpu", float_dtype=None),
        ],
        "policy_postprocessor": [
            step("unnormalizer_processor", UNNORMALIZER, features={ACTION: action}, **scaled),
            step("evo1_action_processor", action_dim=features[ACTION]["shape"][0]),
            step("device_processor", device="cpu", float_dtype="float32"),
        ],
    }
