"""There and back again: every tensor bit for bit, whatever its precision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from literal import Literal
from safetensors.torch import load_file
from torch import Tensor

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.models.published import domains, lerobot_export, lerobot_folder, official_folder, policies
from la4vla.models.published.lerobot_names import LEROBOT
from la4vla.models.published.official_head import OfficialFlowMatchingHead
from la4vla.models.published.official_names import OFFICIAL
from la4vla.models.published.renaming import to_theirs
from la4vla.schema.batch import Batch

BF16 = torch.bfloat16


def _stored(weights: dict[str, Tensor], rest: torch.dtype, tables: torch.dtype) -> dict[str, Tensor]:
    return {name: tensor.to(tables if name.endswith(".pe") else rest) for name, tensor in weights.items()}


def _tables_exact(stored: dict[str, Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**stored, **{f"model.{name}": tensor for name, tensor in weights.items() if name.endswith(".pe")}}


def _same(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert tensor.dtype == right[name].dtype and torch.equal(tensor, right[name]), name


@pytest.mark.parametrize(
    ("compat", "rest", "tables"),
    [
        (True, torch.float32, torch.float32), (True, BF16, BF16), (True, BF16, torch.float32),
        (True, torch.float32, BF16), (False, torch.float32, torch.float32), (False, BF16, BF16),
    ],
)  # fmt: skip
def test_official_to_policy_to_official(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    weights: dict[str, Tensor],
    tmp_path: Path,
    compat: bool,
    rest: torch.dtype,
    tables: torch.dtype,
) -> None:
    stored = _stored(weights, rest, tables)
    source, policy_folder, target = save_official(stored), tmp_path / "policy", tmp_path / "back"
    load_official(source, compat=compat).save(policy_folder)
    official_folder.write(Policy.load(policy_folder), target, arm="arm_a", dataset="data")
    back = official_folder.load_tensors(target / "mp_rank_00_model_states.pt")
    # Recomputed tables are exact, whatever the precision of the weights beside them.
    _same(back, stored if compat else _stored(weights, rest, torch.float32))
    assert json.loads((target / "norm_stats.json").read_text()) == json.loads((source / "norm_stats.json").read_text())
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (source, target))
    assert {k: v for k, v in after.items() if k in before and k != "num_inference_timesteps"}.items() <= before.items()
    again = load_official(target, compat=compat)
    _same(again.state_dict(), Policy.load(policy_folder).state_dict())


def test_the_corrected_policy_recomputes_rounded_tables(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], weights: dict[str, Tensor]
) -> None:
    folder = save_official(_stored(weights, torch.float32, BF16))
    corrected, official = (load_official(folder, compat=compat).head for compat in (False, True))
    assert torch.equal(corrected.times, weights["action_head.time_pos_enc.pe"][0])
    assert torch.equal(official.times, weights["action_head.time_pos_enc.pe"][0].bfloat16().float())
    assert "times" in official.state_dict() and "times" not in corrected.state_dict()


def test_a_saved_official_policy_is_the_same_policy(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    make_batch: Callable[..., Batch],
    tmp_path: Path,
) -> None:
    policy, batch = load_official(save_official(), compat=True), make_batch([[True, False], [False, False]])
    policy.save(tmp_path / "policy")
    loaded = Policy.load(tmp_path / "policy")
    assert isinstance(loaded.head, OfficialFlowMatchingHead) and loaded.backbone.arguments == policy.backbone.arguments
    assert torch.equal(loaded.loss(batch), policy.loss(batch))
    assert {parameter.dtype for model in (policy, loaded) for parameter in model.parameters()} == {torch.float32}


@torch.no_grad()
def test_fused_rows_are_queries_then_keys_then_values(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], weights: dict[str, Tensor]
) -> None:
    """Outputs tell: with another order of the rows they no longer agree."""
    name = "embedder.model.vision_model.encoder.layers.0.attn.qkv.weight"
    query, key, value = weights[name].chunk(3)
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    policy = load_official(save_official())
    expected = Literal(weights).vision(images / 255)
    torch.testing.assert_close(policy.backbone.see(images), expected, atol=1e-5, rtol=0)
    for number, order in enumerate([(value, key, query), (query, value, key)]):
        turned = {**weights, name: torch.cat(order)}
        other = load_official(save_official(turned, name=f"turned{number}")).backbone.see(images)
        assert (other - expected).abs().max() > 1e-2
        torch.testing.assert_close(other, Literal(turned).vision(images / 255), atol=1e-5, rtol=0)


@pytest.mark.parametrize("holder", ["model_state_dict", "model"])
def test_plain_torch_checkpoints(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], holder: str
) -> None:
    plain = load_official(save_official(file="checkpoint.pt", holder=holder))
    deepspeed = load_official(save_official(name="deepspeed"))
    _same(plain.state_dict(), deepspeed.state_dict())


def test_one_category_of_several(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], weights: dict[str, Tensor]
) -> None:
    banked: dict[str, Any] = {}
    for name, tensor in weights.items():
        module, _, part = name.rpartition(".linear.")
        if module:
            # Banks hold (in, out) matrices.
            own = tensor.T if part == "weight" else tensor
            banked[f"{module}.{part}"] = torch.stack([torch.randn_like(own), own, torch.randn_like(own)])
        else:
            banked[name] = tensor
    folder = save_official(banked, config={"num_categories": 3})
    _same(load_official(folder, category=1).state_dict(), load_official(save_official(name="one")).state_dict())
    for category, sentence in ((None, "choose category=0 to 2"), (3, "category=0 to 2, not 3")):
        with pytest.raises(ValueError, match=f"weights for 3 categories: .*{sentence}"):
            load_official(folder, category=category)


def test_lerobot_to_policy_and_its_names_back(
    save_official: Callable[..., Path],
    save_lerobot: Callable[..., Path],
    load_official: Callable[..., Policy],
    weights: dict[str, Tensor],
    vlm: Path,
    make_batch: Callable[..., Batch],
) -> None:
    official = load_official(save_official())
    # LeRobot holds transformers' own model under this prefix, the head as in the release.
    native = {f"model.embedder.model.{k}": v for k, v in official.backbone.model.state_dict().items()}
    head = {f"model.{name}": tensor for name, tensor in weights.items() if name.startswith("action_head.")}
    folder = save_lerobot({**native, **head})
    assert lerobot_folder.is_lerobot(folder) and not lerobot_folder.is_lerobot(save_official(name="other"))
    found = lerobot_folder.read(folder)
    domain = domains.domain_of(found, official.domains[0].embodiment, None, None, None)
    policy = policies.build(found, domain, str(vlm))
    assert isinstance(policy.backbone, InternVL3) and policy.backbone.views == 2
    assert policy.head.integration_steps == 8 and found.notes == ()
    batch = make_batch([[False], [False]])
    official.backbone.prompt, policy.backbone.views = policy.backbone.prompt, 2
    torch.testing.assert_close(policy.loss(batch), official.loss(batch))
    _same(to_theirs(policies.weights_of(policy), LEROBOT), {**native, **head})


@pytest.mark.parametrize(
    ("vlm_type", "head_type", "tables"),
    [(BF16, torch.float32, torch.float32), (torch.float32, BF16, BF16), (torch.float32, torch.float32, torch.float32)],
)
def test_lerobot_to_policy_to_lerobot(
    save_official: Callable[..., Path],
    save_lerobot: Callable[..., Path],
    load_official: Callable[..., Policy],
    weights: dict[str, Tensor],
    vlm: Path,
    tmp_path: Path,
    vlm_type: torch.dtype,
    head_type: torch.dtype,
    tables: torch.dtype,
) -> None:
    official = load_official(save_official())
    stored = {f"model.embedder.model.{k}": v.to(vlm_type) for k, v in official.backbone.model.state_dict().items()}
    head = {k: v for k, v in weights.items() if k.startswith("action_head.")}
    stored |= {f"model.{k}": v for k, v in _stored(head, head_type, tables).items()}
    source, target = save_lerobot(stored), tmp_path / "back"
    arm = official.domains[0].embodiment
    found = lerobot_folder.read(source)
    policy = policies.build(found, domains.domain_of(found, arm, official.domains[0].view, None, None), str(vlm))
    policy.save(tmp_path / "policy")
    lerobot_export.write(Policy.load(tmp_path / "policy"), target)
    _same(load_file(target / "model.safetensors"), _tables_exact(stored, weights))
    statistics = "policy_preprocessor_step_4_normalizer_processor.safetensors"
    _same(load_file(target / statistics), load_file(source / statistics))
    again = lerobot_folder.read(target)
    told = ("claims", "normalization", "integration_steps", "views", "statistics")
    assert {**again.claims, "dropout": 0.0} == {**found.claims, "dropout": 0.0}
    assert all(getattr(again, name) == getattr(found, name) for name in told[1:])
    config = json.loads((target / "config.json").read_text())
    assert config["vlm_dtype"] == str(vlm_type).removeprefix("torch.") and config["vlm_num_layers"] == 2
    cameras = [name for name in config["input_features"] if name.startswith("observation.images.")]
    assert cameras == [f"observation.images.{camera}" for camera in arm.cameras]
    for name in ("policy_preprocessor", "policy_postprocessor"):
        steps = json.loads((target / f"{name}.json").read_text())["steps"]
        assert all((target / step["state_file"]).is_file() for step in steps if "state_file" in step)


def test_names_and_shapes_at_the_published_size(make_policy: Callable[..., Policy]) -> None:
    with torch.device("meta"):
        backbone, head = InternVL3("1b", views=3), FlowMatchingHead(896, 50)
    tensors = policies.weights_of(make_policy(backbone, head))
    official, lerobot = to_theirs(tensors, OFFICIAL), to_theirs(tensors, LEROBOT)
    parameters = sum(tensor.numel() for name, tensor in official.items() if not name.endswith(".pe"))
    assert parameters == sum(p.numel() for p in (*backbone.parameters(), *head.parameters()))
    assert parameters / 1e6 == pytest.approx(775.2, abs=0.1)
    assert sum(tensor.numel() for tensor in lerobot.values()) == sum(tensor.numel() for tensor in official.values())
    shapes = {name: tuple(tensor.shape) for name, tensor in official.items()}
    assert shapes["embedder.model.vision_model.encoder.layers.23.attn.qkv.weight"] == (3072, 1024)
    assert shapes["embedder.model.mlp1.1.weight"] == (896, 4096)
    assert shapes["embedder.model.language_model.model.layers.13.self_attn.k_proj.bias"] == (128,)
    assert shapes["action_head.transformer_blocks.7.attn.in_proj_weight"] == (2688, 896)
    assert shapes["action_head.seq_pool_proj.weight"] == (896, 44800)
    assert shapes["action_head.mlp_head.fc2.linear.weight"] == (1200, 1024)
    assert shapes["action_head.time_pos_enc.pe"] == (1, 1000, 896)
    assert "model.embedder.model.vision_tower.encoder.layer.23.attention.q_proj.weight" in lerobot
