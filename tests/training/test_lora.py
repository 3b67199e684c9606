"""Adapters learn alone, are merged where the policy leaves, and are back after a resume."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from la4vla import fit
from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.flops import Pass, step_flops
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.training.full_shard import FullShard
from la4vla.training.lora import LoRA, adapters, merged
from la4vla.training.module import PolicyModule, policy_of

pytest.importorskip("peft")

ROOT = Path(__file__).parents[2]
WORDS = [
    str(ROOT / "recipes/la.yaml"),
    str(ROOT / "recipes/overlays/lora.yaml"),
    *("start=null", "data.batch_size=4", "data.workers=0", "trainer.max_steps=4", "checkpoint_every=2"),
    *("model.backbone.init_args.vision_layers=1", "model.backbone.init_args.language_layers=2"),
    *("model.head_warmup_steps=0", "model.warmup_steps=0", "trainer.precision=32-true", "model.lora.rank=4"),
]


@pytest.fixture
def batch(workspace):
    data = MixtureDataModule({"la": Source("shards/metaworld/la", "masked")}, 16, batch_size=4, workers=0)
    return data, next(iter(data.train_dataloader()))


@pytest.fixture
def module(batch):
    torch.manual_seed(0)
    backbone = InternVL3(vision_layers=1, language_layers=2)
    head = FlowMatchingHead(backbone.width, 16, 8, 8, layers=1, heads=6, hidden=32, dropout=0.0, integration_steps=2)
    return PolicyModule(backbone, head, batch[0].domains, trainable=["language", "head"], lora=LoRA(rank=4, alpha=8))


def learn(module: PolicyModule, batch, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        module.policy.loss(batch).mean().backward()
        optimizer.step()


def test_only_adapters_and_the_chosen_parts_learn(module, batch):
    before = {name: tensor.clone() for name, tensor in module.policy.named_parameters()}
    assert len(adapters(module.policy)) == 2 * 7 * 2
    assert module.parts().keys() == {"language", "head"}
    learn(module, batch[1])
    changed = {name for name, tensor in module.policy.named_parameters() if not tensor.equal(before[name])}
    assert changed == {name for name in before if "lora_" in name or name.startswith("head.")}


def test_merged_weights_answer_as_adapters_do(module, batch):
    torch.manual_seed(0)
    fresh = module.policy.loss(batch[1]).detach()
    learn(module, batch[1])
    with torch.no_grad():
        adapted = module.policy.loss(batch[1])
        plain = policy_of(module)
        assert plain is not module.policy
        torch.testing.assert_close(plain.loss(batch[1]), adapted, atol=1e-5, rtol=0)
        assert torch.equal(module.policy.loss(batch[1]), adapted), "merging touched the policy in training"
    assert (fresh - adapted).abs().max() > 1e-3
    assert not any("lora" in name or "base_layer" in name for name in plain.state_dict())


def test_adapters_count_their_operations(module, batch):
    seen = []
    module.policy.backbone.register_forward_hook(lambda *call: seen.append(call[2].mask.shape))
    with FlopCounterMode(display=False) as counter:
        module.policy.loss(batch[1]).mean().backward()
    tally = step_flops(module.policy.backbone, module.policy.head, [Pass(*seen[0], 0)])
    assert tally.forward + tally.backward == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_a_resumed_run_equals_a_whole_one_and_leaves_a_plain_policy(workspace, monkeypatch):
    fit.main([*WORDS, "name=whole"])
    begin = PolicyModule.on_train_batch_start

    def dies(module, *batch):
        if module.global_step == 3:
            raise RuntimeError("out of power")
        begin(module, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(PolicyModule, "on_train_batch_start", dies)
        with pytest.raises(RuntimeError, match="out of power"):
            fit.main([*WORDS, "name=killed"])
    fit.main([*WORDS, "name=killed"])
    whole, resumed = (load_file(workspace / f"runs/{name}/policy/model.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())
    last = Policy.load("runs/whole/checkpoints/last.ckpt").state_dict()
    assert last.keys() == whole.keys() and all(last[name].equal(tensor) for name, tensor in whole.items())
    code = "import sys; sys.modules['peft'] = None\nfrom la4vla.models.policy import Policy\n"
    code += "Policy.load('runs/whole/policy'), Policy.load('runs/killed/checkpoints/best.ckpt')"
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=workspace, env=environment)


def test_bad_names_and_strategies_are_refused(module, monkeypatch):
    plain = merged(module.policy)
    with pytest.raises(ValueError, match=r"No language layer is called \['qkv'\]: choose among \['down_proj'"):
        LoRA(targets=["qkv"]).adapt(plain)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"la4vla\[lora\]"):
        LoRA().adapt(plain)
    monkeypatch.setattr(PolicyModule, "trainer", type("trainer", (), {"strategy": FullShard(), "precision": "32-true"}))
    with pytest.raises(ValueError, match=r"leave out lora\.yaml, or use ddp\.yaml"):
        module.setup("fit")
