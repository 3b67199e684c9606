"""Tiny published checkpoints: random weights under published names, in published folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer

from la4vla.models.backbones.internvl3_sizes import Sizes
from la4vla.models.backbones.internvl3_weights import TOKENIZER
from la4vla.models.policy import Policy
from la4vla.models.published import domains, official_folder, policies
from la4vla.models.published.official_internvl3 import OfficialInternVL3
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import Shot, ViewProfile

# Makes the model in plain torch importable by name.
sys.path.insert(0, str(Path(__file__).parent))

from literal import Literal, random_weights

ARM = Embodiment("arm", ("x_m", "y_m", "z_m", "opening"), ("dx", "dy", "dz", "grip"), ("a", "b", "c"), 10.0)
VIEW = ViewProfile("front", (Shot("front", 16),), 16)
CONFIG = {
    "vlm_name": "OpenGVLab/InternVL3-1B", "action_head": "flowmatching", "return_cls_only": False, "horizon": 4,
    "action_horizon": None, "per_action_dim": 6, "state_dim": 5, "num_layers": 2, "num_heads": 2, "dropout": 0.2,
    "embed_dim": 32, "hidden_dim": 16, "state_hidden_dim": 16, "num_categories": 1, "lr": 1e-5,
    "num_inference_timesteps": 50,
}  # fmt: skip


def statistics(low: float = -2.0) -> dict[str, Any]:
    rows = {"min": low, "max": 2.0, "mean": 0.1, "std": 0.7, "q01": low / 2, "q99": 1.5}
    return {key: {name: [value] * 4 for name, value in rows.items()} for key in ("observation.state", "action")}


@pytest.fixture
def weights() -> dict[str, Tensor]:
    """Every tensor of a tiny official model."""
    return random_weights()


@pytest.fixture
def literal(weights: dict[str, Tensor]) -> Literal:
    """The official forward pass on ``weights``."""
    return Literal(weights)


@pytest.fixture(scope="session")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration and tokenizer of the tiny VLM, three language layers deep; no weights."""
    folder = tmp_path_factory.mktemp("vlm")
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    config = Sizes(16, 4, 0.5, 32, 2, 16, 32, 3, 8, 2, 48, 1024).config()
    config.image_token_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    for part in (config, config.text_config, config.vision_config):
        part.dtype = torch.bfloat16  # as published
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def save_official(tmp_path: Path, weights: dict[str, Tensor]) -> Callable[..., Path]:
    """``save_official(config={...}, stats={...})``: a folder as the official code writes it."""

    def save(
        tensors: dict[str, Tensor] | None = None,
        file: str = "mp_rank_00_model_states.pt",
        holder: str = "module",
        stats: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        name: str = "official",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        # Some of what DeepSpeed keeps beside the weights.
        beside = {"buffer_names": ["a"], "global_steps": 3, "param_shapes": [{"a": torch.Size([2])}], "skip": {1, 2}}
        torch.save({holder: weights if tensors is None else tensors, **beside}, folder / file)
        (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
        (folder / "norm_stats.json").write_text(json.dumps(stats or {"arm_a": {"data": statistics()}}))
        return folder

    return save


@pytest.fixture
def save_lerobot(tmp_path: Path, weights: dict[str, Tensor]) -> Callable[..., Path]:
    """``save_lerobot(tensors)``: a folder as LeRobot writes it, statistics padded to five and six dimensions."""

    def save(tensors: dict[str, Tensor], config: dict[str, Any] | None = None) -> Path:
        folder = tmp_path / "lerobot"
        folder.mkdir()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
        settings = {
            "type": "evo1", "chunk_size": 4, "max_action_dim": 6, "max_state_dim": 5, "num_layers": 2, "num_heads": 2,
            "embed_dim": 32, "hidden_dim": 16, "state_hidden_dim": 16, "num_inference_timesteps": 8, "max_views": 2,
            "normalization_mapping": {"VISUAL": "IDENTITY", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"},
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps({**settings, **(config or {})}))
        neutral = {"min": -1.0, "max": 1.0, "mean": 0.0, "std": 1.0, "q01": -1.0, "q99": 1.0}
        flat = {
            f"{key}.{name}": torch.tensor(values + [neutral[name]] * surplus)
            for (key, leaf), surplus in zip(statistics().items(), (1, 2), strict=True)
            for name, values in leaf.items()
        }
        save_file(flat, folder / "policy_preprocessor_step_4_normalizer_processor.safetensors")
        return folder

    return save


@pytest.fixture
def load_official(vlm: Path) -> Callable[..., Policy]:
    """``load_official(folder, compat=True)``: the policy of an official folder, for a four-dimensional arm.

    Prompts have 64 tokens where nothing else is said: attention over 1,024 is slow here.
    """

    def load(
        folder: Path, arm: str | None = None, dataset: str | None = None, prompt_tokens: int = 64, **choices: Any
    ) -> Policy:
        found = official_folder.read(folder)
        domain = domains.domain_of(found, ARM, VIEW, arm, dataset)
        policy = policies.build(found, domain, str(vlm), **choices)
        if isinstance(policy.backbone, OfficialInternVL3):
            assert policy.backbone.prompt_tokens == 1024
            policy.backbone.prompt_tokens = policy.backbone.arguments["prompt_tokens"] = prompt_tokens
        return policy

    return load
