"""The VLM a published policy names is one that others can fetch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.policy import Policy
from la4vla.models.published import lerobot_export, official_folder, vlm_names


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("OpenGVLab/InternVL3-2B", "OpenGVLab/InternVL3-2B"), ("/data/models/InternVL3-1B", "OpenGVLab/InternVL3-1B"),
        (None, "OpenGVLab/InternVL3-1B"),
    ],
)  # fmt: skip
def test_a_folder_is_never_the_published_name(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], tmp_path: Path, named: str, expected: str
) -> None:
    policy = load_official(save_official(config={"vlm_name": named}))
    policy.save(tmp_path / "policy")
    policy = Policy.load(tmp_path / "policy")
    official_folder.write(policy, tmp_path / "back")
    lerobot_export.write(policy, tmp_path / "lerobot")
    assert json.loads((tmp_path / "back" / "config.json").read_text())["vlm_name"] == expected
    assert json.loads((tmp_path / "lerobot" / "config.json").read_text())["vlm_model_name"] == f"{expected}-hf"
    for file in tmp_path.glob("*/config.json"):
        assert str(tmp_path) not in file.read_text()


def test_weights_from_a_folder_are_named_by_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models/InternVL3").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with torch.device("meta"):
        backbone = InternVL3("2b")
    for weights in (None, "models/InternVL3", str(tmp_path / "models"), "../InternVL3", "~/models/InternVL3"):
        backbone.arguments["weights"] = weights
        assert vlm_names.of(backbone) == "OpenGVLab/InternVL3-2B-hf"
    backbone.arguments["weights"] = "authors/tuned-hf"
    assert vlm_names.of(backbone) == "authors/tuned-hf" and vlm_names.to_official("authors/tuned-hf") == "authors/tuned"
    assert not os.listdir(tmp_path / "models/InternVL3")
