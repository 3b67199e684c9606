"""Every checkpoint that cannot become a policy says so in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.alignment import AlignmentHead
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.models.published import bodies, domains, lerobot_export, lerobot_folder, official_folder
from la4vla.models.published.renaming import Rule, published_name, to_ours

QKV = "embedder.model.vision_model.encoder.layers.0.attn.qkv.weight"
STATE = "action_head.state_encoder.fc1.linear.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda w: w.pop("action_head.norm_out.bias"), "lacks 'action_head.norm_out.bias'"),
        (lambda w: w.pop("action_head.norm_out.weight"), "lacks 'action_head.norm_out.weight'"),
        (lambda w: w.pop(QKV), f"lacks '{QKV}'"),
        (lambda w: w.update(colour=torch.ones(1)), "holds 'colour', which no policy of this architecture has"),
        (
            lambda w: w.update({QKV.replace("layers.0", "layers.7"): w[QKV]}),
            "holds 'embedder.*layers.7.*', which the model that vlm= names does not have",
        ),
        (lambda w: w.update({QKV: w[QKV][:95]}), rf"'{QKV}' of shape \(95, 32\): its rows do not split as 1:1:1"),
        (lambda w: w.update({QKV: w[QKV][:48]}), rf"'{QKV}' of shape \(48, 32\), this architecture has \(96, 32\)"),
        (lambda w: w.update({STATE: torch.ones(16, 9)}), "has proprioception_dim=9, its config.json says 5"),
        (lambda w: w["action_head.time_pos_enc.pe"].add_(0.1), "another table in 'action_head.time_pos_enc.pe'"),
        (lambda w: w.update({STATE: torch.ones(0)}), "has empty weights, as ZeRO stage 3 writes"),
        (lambda w: [w.pop(k) for k in list(w) if "language_model.model.layers" in k], "lacks 'embedder"),
        (lambda w: [w.pop(k) for k in list(w) if k.startswith("action_head")], "lacks 'action_head"),
    ],
)
def test_weights_that_do_not_fit(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    weights: dict[str, Tensor],
    change: Callable[[dict[str, Tensor]], object],
    sentence: str,
) -> None:
    change(weights)
    with pytest.raises(ValueError, match=sentence):
        load_official(save_official(weights))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"horizon": 16}, "has horizon=4, its config.json says 16"),
        ({"num_layers": 8}, "has layers=2, its config.json says 8"),
        ({"state_hidden_dim": 32}, "has proprioception_hidden=16, its config.json says 32"),
        ({"num_heads": None}, "lacks num_heads, which no tensor shows"),
        ({"action_head": "diffusion"}, "has action_head='diffusion'; only 'flowmatching'"),
        ({"return_cls_only": True}, "has return_cls_only=True; only False"),
        ({"normalization_type": "log"}, "has normalization_type='log', not one of"),
    ],
)
def test_configurations_that_do_not_fit(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], config: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_official(save_official(config=config))


@pytest.mark.parametrize(
    ("arm", "dataset", "sentence"),
    [
        (None, None, r"arm=None is not in the statistics .*: choose from \['franka', 'merged', 'ur5'\]"),
        ("panda", None, r"arm=panda is not in the statistics .*: choose from \['franka', 'merged', 'ur5'\]"),
        ("franka", None, r"dataset=None is not in the statistics .*: choose from \['droid', 'libero'\]"),
        ("franka", "oxe", r"dataset=oxe is not in the statistics .*: choose from \['droid', 'libero'\]"),
        ("merged", "droid", "are not split by dataset: leave dataset= out"),
        ("ur5", None, "must have the keys 'observation.state' and 'action'"),
        ("franka", "libero", "statistics over 7 dimensions, the embodiment names 4"),
        ("franka", "droid", "lacks 'max', which normalization=bounds needs"),
    ],
)
def test_statistics_that_are_not_there(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    arm: str | None,
    dataset: str | None,
    sentence: str,
) -> None:
    four, seven = ({"min": [0.0] * n, "max": [1.0] * n} for n in (4, 7))
    stats = {
        "franka": {
            "droid": {"observation.state": {"min": four["min"]}, "action": four},
            "libero": {"observation.state": four, "action": seven},
        },
        "merged": {"observation.state": four, "action": four},
        "ur5": {"nothing": {"action": four}},
    }
    folder = save_official(stats=stats)
    with pytest.raises(ValueError, match=sentence):
        load_official(folder, arm, dataset)
    merged = load_official(folder, "merged").domains[0]
    assert merged.actions.maximum.tolist() == [1.0] * 4 and all(map(lambda x: x != x, merged.actions.q01))


class Stranger:
    """Something that only code can bring back."""


def test_files_that_are_missing_damaged_or_unsafe(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], tmp_path: Path
) -> None:
    folder = save_official()
    file = folder / "mp_rank_00_model_states.pt"
    whole = file.read_bytes()
    for content, sentence in (
        (whole[: len(whole) // 2], "is damaged or older"), (b"", "is damaged or older"), (b"text", "is "),
    ):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(ValueError, match=sentence):
            load_official(folder)
    torch.save({"module": {"a": torch.ones(1)}, "optimizer": Stranger()}, file)
    with pytest.raises(ValueError, match="holds more than tensors and plain values"):
        load_official(folder)
    for content in ({"weights": {}}, [1]):
        torch.save(content, file)
        with pytest.raises(ValueError, match="must hold its weights under one of"):
            load_official(folder)
    file.unlink()
    with pytest.raises(ValueError, match=r"checkpoint\.pt is missing: name a folder with mp_rank_00"):
        load_official(folder)
    (folder / "norm_stats.json").write_text("[]")
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"norm_stats\.json must hold a JSON object, got list"):
        load_official(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        load_official(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        load_official(folder)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"type": "smolvla"}, "has type='smolvla'; only 'evo1'"),
        ({"normalization_mapping": {"STATE": "MIN_MAX", "ACTION": "MEAN_STD"}}, "normalises by .*MEAN_STD"),
        ({"normalization_mapping": {"STATE": "IDENTITY", "ACTION": "IDENTITY"}}, "normalises by .*IDENTITY"),
    ],
)
def test_lerobot_policies_that_do_not_fit(
    save_lerobot: Callable[..., Path], weights: dict[str, Tensor], config: dict[str, Any], sentence: str
) -> None:
    folder = save_lerobot(weights, config)
    with pytest.raises(ValueError, match=sentence):
        lerobot_folder.read(folder)


def test_lerobot_files_that_are_missing_or_damaged(
    save_lerobot: Callable[..., Path], weights: dict[str, Tensor]
) -> None:
    folder = save_lerobot(weights, {"binarize_gripper": True})
    assert "binary" in lerobot_folder.read(folder).notes[0]
    (statistics,) = folder.glob("policy_preprocessor*")
    statistics.unlink()
    with pytest.raises(ValueError, match=r"must hold one file policy_preprocessor_step_.* found 0"):
        lerobot_folder.read(folder)
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match="is damaged"):
        lerobot_folder.read(folder)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [({"model_type": "qwen2"}, "must have the layout of"), ({"model_type": "internvl"}, "at least 2 language layers")],
)
def test_a_vlm_of_another_kind(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    vlm: Path,
    config: dict[str, Any],
    sentence: str,
) -> None:
    (vlm / "config.json").rename(vlm / "kept")
    try:
        (vlm / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=sentence):
            load_official(save_official())
    finally:
        (vlm / "kept").replace(vlm / "config.json")


def test_policies_the_official_layout_cannot_hold(
    aligned: Policy, make_policy: Callable[..., Policy], small_backbone: Callable[..., InternVL3], tmp_path: Path
) -> None:
    small = {"action_dim": 6, "proprioception_dim": 5, "layers": 1, "heads": 2, "hidden": 16}
    heads = (
        FlowMatchingHead(96, 4, predicts="actions", **small), FlowMatchingHead(96, 1, **small),
        FlowMatchingHead(96, 4, feedforward=2, **small), AlignmentHead(96, 4, 32),
    )  # fmt: skip
    for head in heads:
        for write in (official_folder.write, lerobot_export.write):
            with pytest.raises(ValueError, match=r" layout holds |in this layout"):
                write(make_policy(small_backbone(), head), tmp_path / "target")
    for write in (official_folder.write, lerobot_export.write):
        with pytest.raises(ValueError, match="a stem of convolutions; layout=la4vla holds every"):
            write(make_policy(small_backbone(stem="convolutions")), tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_nothing_published_is_overwritten(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], tmp_path: Path
) -> None:
    source = save_official()
    policy, before = load_official(source), (source / "config.json").read_bytes()
    for write in (official_folder.write, lerobot_export.write):
        with pytest.raises(ValueError, match="exists: name a folder that does not"):
            write(policy, source)
    assert (source / "config.json").read_bytes() == before


def test_policies_lerobot_cannot_run(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], make_domain: Any, tmp_path: Path
) -> None:
    source = save_official()
    with pytest.raises(ValueError, match="runs the official arithmetic, which LeRobot has not"):
        lerobot_export.write(load_official(source, compat=True), tmp_path / "target")
    policy = load_official(source)
    policy.adopt([make_domain("a"), make_domain("b")])
    with pytest.raises(ValueError, match="knows one robot, this policy has 2"):
        lerobot_export.write(policy, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_one_arm_cannot_name_several_domains(make_policy: Callable[..., Policy], make_domain: Any) -> None:
    policy = make_policy(domains=[make_domain("a"), make_domain("b")])
    assert domains.to_official(policy.domains, "bounds", None, "data").keys() == {"a", "b"}
    with pytest.raises(ValueError, match="has 2 domains: leave arm= out"):
        domains.to_official(policy.domains, "bounds", "arm", "data")


def test_names_no_table_has() -> None:
    rules = (Rule("a.*", (("b.*", 1),)),)
    assert to_ours({"a.x": torch.ones(1)}, rules, "file").keys() == {"b.x"}
    with pytest.raises(ValueError, match=r"'b\.x\.y' has no name in this layout"):
        published_name("b.x.y", rules)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("view: null", "must have the two keys embodiment and view"),
        ("{embodiment: {name: arm}, view: null}", "does not describe an embodiment and its view"),
        ("{embodiment: 3, view: null}", "does not describe an embodiment and its view"),
        ("{embodiment: 3, view: {name: front}}", "does not describe an embodiment and its view: 'shots'"),
        ("{", "is no YAML"),
    ],
)
def test_files_that_describe_no_robot(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "arm.yaml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        bodies.body(str(tmp_path / "arm.yaml"))


def test_robots_nobody_knows() -> None:
    with pytest.raises(ValueError, match="names no robot"):
        bodies.body(None)
    with pytest.raises(ValueError, match="is neither 'metaworld' nor a file"):
        bodies.body("panda")
    with pytest.raises(ValueError, match=r"chooses among Meta-World's views; arm\.yaml describes its own"):
        bodies.body("arm.yaml", "evo1")
