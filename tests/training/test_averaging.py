"""Averaged weights are what is exported, and a resumed average is the uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from safetensors.torch import load_file

from la4vla import fit
from la4vla.models.policy import Policy
from la4vla.training.full_shard import FullShard
from la4vla.training.module import PolicyModule

ROOT = Path(__file__).parents[2]
WORDS = [
    str(ROOT / "recipes/la.yaml"),
    str(ROOT / "recipes/overlays/ema.yaml"),
    *("start=null", "data.batch_size=4", "data.workers=0", "trainer.max_steps=4", "checkpoint_every=2"),
    *("model.backbone.init_args.vision_layers=1", "model.backbone.init_args.language_layers=1"),
    *("model.head_warmup_steps=0", "model.warmup_steps=0", "trainer.precision=32-true"),
]
DECAY = 0.999


@pytest.fixture
def seen(monkeypatch):
    """The policy's weights after each step."""
    weights = []

    def on_train_batch_end(module, *_):
        weights.append({name: tensor.detach().clone() for name, tensor in module.policy.named_parameters()})

    monkeypatch.setattr(PolicyModule, "on_train_batch_end", on_train_batch_end)
    return weights


def test_the_policy_is_the_average_and_a_resumed_one_too(workspace, seen, monkeypatch):
    fit.main([*WORDS, "name=whole"])
    mean = seen[0]
    for weights in seen[1:]:
        mean = {name: DECAY * old + (1 - DECAY) * weights[name] for name, old in mean.items()}
    whole = load_file(workspace / "runs/whole/policy/model.safetensors")
    assert all(whole[name].allclose(tensor, atol=1e-7) for name, tensor in mean.items())
    assert any(not whole[name].allclose(tensor, atol=1e-5) for name, tensor in seen[-1].items())

    begin = PolicyModule.on_train_batch_start

    def dies(module, *batch):
        if module.global_step == 3:
            raise RuntimeError("out of power")
        begin(module, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(PolicyModule, "on_train_batch_start", dies)
        with pytest.raises(RuntimeError, match="out of power"):
            fit.main([*WORDS, "name=killed"])
    mean = seen[-3]
    for weights in seen[-2:-1]:
        mean = {name: DECAY * old + (1 - DECAY) * weights[name] for name, old in mean.items()}
    halfway = Policy.load("runs/killed/checkpoints/last.ckpt")
    assert halfway.provenance["results"] == {"steps": 2}
    assert all(tensor.allclose(mean[name], atol=1e-7) for name, tensor in halfway.named_parameters())
    count = len(seen)
    fit.main([*WORDS, "name=killed"])
    assert len(seen) - count == 2, "the run began anew instead of going on"
    resumed = load_file(workspace / "runs/killed/policy/model.safetensors")
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())


def test_sharded_weights_are_not_averaged(tmp_path):
    trainer = Trainer(callbacks=[EMAWeightAveraging()], default_root_dir=tmp_path, logger=False, accelerator="cpu")
    with pytest.raises(ValueError, match=r"ema\.yaml or overlays/fsdp\.yaml"):
        FullShard().setup(trainer)
