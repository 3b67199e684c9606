"""A trainer's checkpoint is a policy too, and what is none says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from la4vla.models import trainer_state
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch


class Stranger:
    """Something that only code can bring back."""


@pytest.fixture
def policy(make_policy: Callable[..., Policy]) -> Policy:
    return make_policy().eval()


@pytest.fixture
def write(policy: Policy, tmp_path: Path) -> Callable[..., Path]:
    """``write(key=value)``: a checkpoint as a trainer writes it, in a run's folder, with changes."""

    def save(**changes: Any) -> Path:
        weights = {f"policy.{name}": tensor for name, tensor in policy.state_dict().items()}
        state = {
            "state_dict": {**weights, "loss_smoothed": torch.tensor(1.0)},
            "global_step": 7,
            "optimizer_states": [{"state": {}}],
            "policy": trainer_state.description(policy),
        }
        path = tmp_path / "runs" / "arm" / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({key: value for key, value in {**state, **changes}.items() if value is not None}, path)
        return path

    return save


def test_the_policy_of_a_checkpoint_is_the_one_in_training(
    policy: Policy, write: Callable[..., Path], make_batch: Callable[..., Batch]
) -> None:
    path = write()
    loaded, batch = Policy.load(path), make_batch([[True, False], [False, False]])
    assert torch.equal(loaded.loss(batch), policy.loss(batch)) and not loaded.training
    assert [d.to_json() for d in loaded.domains] == [d.to_json() for d in policy.domains]
    assert loaded.provenance == {"results": {"steps": 7}, "checkpoint": str(path)}
    (path.parent.parent / "provenance.json").write_text(json.dumps({"seed": 3, "results": {"steps": 1}}))
    assert Policy.from_pretrained(path).provenance["seed"] == 3
    assert trainer_state.steps_of(path) == 7
    assert (trainer_state.name_of(path), trainer_state.run_of(path).name) == ("arm_last", "arm")
    assert (trainer_state.name_of(Path("runs/arm/policy")), trainer_state.run_of(Path("runs/arm/policy")).name) == (
        "arm", "arm",
    )  # fmt: skip


def test_adapters_are_merged(policy: Policy, write: Callable[..., Path]) -> None:
    weights = policy.state_dict()
    name = "backbone.model.language_model.layers.0.self_attn.q_proj"
    first, second = torch.randn(2, 96), torch.randn(96, 2)
    adapted = {f"policy.{key.replace(name, name + '.base_layer')}": tensor for key, tensor in weights.items()}
    adapted |= {f"policy.{name}.lora_A.default.weight": first, f"policy.{name}.lora_B.default.weight": second}
    path = write(state_dict=adapted, policy=trainer_state.description(policy, adapter_scale=2.0))
    loaded = Policy.load(path).state_dict()
    assert loaded.keys() == weights.keys()
    expected = {**weights, f"{name}.weight": weights[f"{name}.weight"] + 2 * second @ first}
    for key, tensor in expected.items():
        torch.testing.assert_close(loaded[key], tensor, atol=1e-6, rtol=0)


def test_what_is_no_checkpoint_says_why(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(optimizer_states=Stranger())
    with pytest.raises(
        ValueError, match=r"last\.ckpt holds more than tensors and plain values, which is never run here"
    ):
        Policy.load(path)
    for changes in ({"policy": None}, {"policy": {"a": 1}}, {"policy": 3}, {"state_dict": None}, {"global_step": None}):
        with pytest.raises(
            ValueError, match=r"last\.ckpt does not say what policy its weights are of: name a checkpoint"
        ):
            Policy.load(write(**changes))
    with pytest.raises(ValueError, match=r"last\.ckpt lacks the tensors"):
        Policy.load(write(state_dict={}))
    whole = write().read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"last\.ckpt is damaged: take another"):
            Policy.load(path)
    (tmp_path / "parts.ckpt").mkdir()
    with pytest.raises(ValueError, match=r"parts\.ckpt is in parts, .*sharded_checkpoints=false"):
        Policy.load(tmp_path / "parts.ckpt")
    with pytest.raises(ValueError, match=r"There is no checkpoint .*best\.ckpt"):
        Policy.load(path.with_name("best.ckpt"))
