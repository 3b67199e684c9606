"""A saved policy is the same policy, and a folder that is not one says why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from la4vla.models.backbones.base import Backbone
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.base import ActionHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.observation import Observation

MIXED = [[True, False], [False, False], [True, True]]


@pytest.fixture
def saved(make_policy: Callable[..., Policy], tmp_path: Path) -> Path:
    make_policy().save(tmp_path / "policy")
    return tmp_path / "policy"


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_what_is_loaded_equals_what_was_saved(
    make_backbone: Callable[..., Backbone],
    make_head: Callable[..., ActionHead],
    make_policy: Callable[..., Policy],
    make_batch: Callable[..., Batch],
    make_observation: Callable[..., Observation],
    tmp_path: Path,
) -> None:
    backbone = make_backbone()
    policy = make_policy(backbone, make_head(backbone.width))
    policy.save(tmp_path)
    loaded, batch = Policy.load(tmp_path), make_batch(MIXED)
    assert torch.equal(loaded.loss(batch), policy.loss(batch))
    before, after = (p.act([make_observation()], draws=[5])[0].actions for p in (policy, loaded))
    np.testing.assert_array_equal(before, after)
    assert [d.to_json() for d in loaded.domains] == [d.to_json() for d in policy.domains]
    assert loaded.normalization == policy.normalization and not loaded.training


def test_a_policy_without_an_acting_head_is_saved_too(
    aligned: Policy, make_batch: Callable[..., Batch], tmp_path: Path
) -> None:
    aligned.save(tmp_path)
    batch = make_batch([[True, False]] * 2)
    assert torch.equal(Policy.load(tmp_path).loss(batch), aligned.loss(batch))


def test_saving_again_replaces_and_leaves_nothing_else(saved: Path, make_policy: Callable[..., Policy]) -> None:
    torch.manual_seed(1)
    other = make_policy()
    other.save(saved)
    names = ["backbone", "config.json", "model.safetensors", "provenance.json"]
    assert sorted(file.name for file in saved.iterdir()) == names
    assert torch.equal(Policy.load(saved).head.out[0].weight, other.head.out[0].weight)


def test_weights_from_a_hub_need_no_hub_again(
    make_policy: Callable[..., Policy],
    small_backbone: Callable[..., InternVL3],
    make_batch: Callable[..., Batch],
    tmp_path: Path,
) -> None:
    published, policy_folder = tmp_path / "published", tmp_path / "policy"
    source = small_backbone()
    source.model.save_pretrained(published)
    source.tokenizer.save_pretrained(published)
    policy = make_policy(InternVL3(weights=str(published), language_layers=1, views=2))
    policy.save(policy_folder)
    batch = make_batch(MIXED)
    published.rename(tmp_path / "gone")
    loaded = Policy.load(policy_folder)
    assert torch.equal(loaded.loss(batch), policy.loss(batch))
    assert loaded.backbone.arguments == policy.backbone.arguments
    loaded.save(tmp_path / "again")
    assert torch.equal(Policy.load(tmp_path / "again").loss(batch), policy.loss(batch))


def test_loading_needs_neither_network_nor_trainer(saved: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "import la4vla.models.heads.alignment\n"
        "from la4vla.models.policy import Policy\n"
        "Policy.load(sys.argv[1])\n"
        "print([name for name in sys.modules if 'lightning' in name])"
    )
    finished = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.update(format=99), "has format 99, this la4vla reads 2"),
        (lambda c: c.update(colour="red"), r"differing in \['colour'\]"),
        (lambda c: c.pop("head"), r"differing in \['head'\]"),
        (lambda c: c["head"].update({"class": "os.system"}), "'os.system', which is no Head of la4vla.models"),
        (lambda c: c["head"].update({"class": "la4vla.models.none.Such"}), "which is no Head"),
        (lambda c: c["head"].update({"class": "la4vla.models.policy.Policy"}), "which is no Head"),
        (lambda c: c["head"]["arguments"].update(colour=1), r"gives FlowMatchingHead .* in \['colour'\]"),
        (lambda c: c["head"]["arguments"].pop("width"), r"gives FlowMatchingHead .* in \['width'\]"),
        (lambda c: c["backbone"]["arguments"].update(colour=1), r"gives InternVL3 .* in \['colour'\]"),
        (lambda c: c.update(normalization="boundz"), "normalization is one of .*, got 'boundz'"),
        (lambda c: c["head"]["arguments"].update(hidden=8), "of shape"),
        (lambda c: c["head"]["arguments"].update(layers=3), "lacks the tensors"),
        (lambda c: c["head"]["arguments"].update(layers=1), "has unknown ones"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    saved: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    _edit(saved, change)
    with pytest.raises(ValueError, match=sentence):
        Policy.load(saved)


def test_an_older_configuration_takes_todays_defaults(saved: Path) -> None:
    _edit(saved, lambda c: c["head"]["arguments"].pop("time_min"))
    assert Policy.load(saved).head.arguments["time_min"] == 0.02


def test_missing_and_damaged_files_are_refused(saved: Path) -> None:
    for content, sentence in (("{", "is damaged"), ("[]", "must hold a JSON object, got list")):
        (saved / "provenance.json").write_text(content)
        with pytest.raises(ValueError, match=rf"provenance\.json {sentence}"):
            Policy.load(saved)
    (saved / "provenance.json").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"provenance\.json is damaged"):
        Policy.load(saved)
    (saved / "provenance.json").unlink()
    assert Policy.load(saved).provenance == {}
    tensors = load_file(saved / "model.safetensors")
    del tensors["head.norm.weight"]
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(ValueError, match=r"lacks the tensors \['head.norm.weight'\]"):
        Policy.load(saved)
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        Policy.load(saved)
    (saved / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors is missing"):
        Policy.load(saved)
    (saved / "backbone" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"tokenizer\.json is missing"):
        Policy.load(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        Policy.load(saved)
    (saved / "config.json").unlink()
    with pytest.raises(ValueError, match="holds no finished policy"):
        Policy.load(saved)


def test_a_failed_save_leaves_the_older_policy_and_no_half_of_a_new_one(
    saved: Path, tmp_path: Path, make_policy: Callable[..., Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: tensor.clone() for name, tensor in Policy.load(saved).state_dict().items()}

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("la4vla.models.checkpoint.save_file", full)
    for folder in (saved, tmp_path / "new"):
        with pytest.raises(OSError, match="No space left"):
            make_policy().save(folder)
        assert not [file for file in folder.iterdir() if file.name.startswith(".")]
    kept = Policy.load(saved).state_dict()
    assert before.keys() == kept.keys() and all(torch.equal(before[name], kept[name]) for name in kept)
    with pytest.raises(ValueError, match="holds no finished policy"):
        Policy.load(tmp_path / "new")
