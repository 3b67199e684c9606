"""The published schedule: its numbers, what learns in each stage, and how the stages follow each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from lightning import Callback

from la4vla import fit
from la4vla.data.transforms import Augmentation
from la4vla.models.policy import Policy
from la4vla.schema.embodiment import Embodiment
from la4vla.training import chain
from la4vla.training.recipe import Recipe

FOLDER = Path(__file__).parents[2] / "recipes" / "official"
TINY = FOLDER / "tiny.yaml"
EVERYTHING = {"vision", "embeddings", "language", "head"}
# What learns, whether vision is visible, steps, and the stage before.
STAGES = {
    "la33k_stage1": ({"head"}, {"masked"}, 10_000, None),
    "la33k_stage2": ({"language", "head"}, {"masked"}, 80_000, "la33k_stage1"),
    "la33k_vla": (EVERYTHING, {"visible"}, 80_000, "la33k_stage2"),
    "la33k_mixed": (EVERYTHING, {"masked", "visible"}, 40_000, "la33k_stage1"),
    "downstream": (EVERYTHING, {"visible"}, 80_000, "la33k_stage2"),
    "evo1_stage1": ({"head"}, {"visible"}, 20_000, None),
    "evo1_stage2": (EVERYTHING, {"visible"}, 65_000, "evo1_stage1"),
}
DROID = Embodiment(
    name="droid",
    proprioception=("x_m", "y_m", "z_m", "roll_rad", "pitch_rad", "yaw_rad", "opening"),
    actions=("dx_m", "dy_m", "dz_m", "droll_rad", "dpitch_rad", "dyaw_rad", "opening"),
    cameras=("exterior_1", "wrist", "exterior_2"),
    control_hz=15.0,
    gripper=6,
)


class Parsed(Recipe):
    """A recipe that is read and no more."""

    def before_instantiate_classes(self):
        """Build nothing."""

    def instantiate_classes(self):
        """Instantiate nothing."""


class Witness(Callback):
    """Notes, step by step, which parts of the policy the optimizer is about to change."""

    def __init__(self):
        self.seen = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        """Look at the gradients, and at what the optimizer holds."""
        parts = pl_module.policy.parts()
        self.seen.append({k for k, ps in parts.items() if any(p.grad is not None and p.grad.any() for p in ps)})
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        assert all(id(p) in held for name in self.seen[-1] for p in parts[name])
        frozen = [p for name, ps in parts.items() if name not in self.seen[-1] for p in ps]
        assert all(p.grad is None and id(p) not in held for p in frozen)


@pytest.fixture
def data(workspace, tiny_shards):
    """A workspace that also holds tiny twins of the LA-33K shards, and an overlay for two steps of four samples."""
    for name, frames in (("la", False), ("vla", True)):
        tiny_shards(workspace / "shards/la33k" / name, embodiment=DROID, frames=frames, size_px=64)
    trial = {
        "trainer": {"max_steps": 2, "log_every_n_steps": 1},
        "data": {"batch_size": 4, "workers": 0},
        "model": {"head": {"class_path": "FlowMatchingHead", "init_args": {"layers": 1, "hidden": 32}}},
    }
    (workspace / "trial.yaml").write_text(yaml.safe_dump(trial))
    return workspace


def test_every_recipe_of_the_folder_is_known():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*STAGES, "tiny"}


@pytest.mark.parametrize("name", STAGES)
def test_hyperparameters_are_the_published_ones(name):
    config = Parsed([str(FOLDER / f"{name}.yaml")]).config
    model, head, backbone = config.model, config.model.head.init_args, config.model.backbone.init_args
    trainable, visions, steps, after = STAGES[name]
    assert (set(model.trainable), config.trainer.max_steps) == (trainable, steps)
    assert (Path(str(config.after)).stem if config.after else None) == after
    assert config.start is None
    assert (model.learning_rate, model.weight_decay, model.betas) == (1e-5, 1e-3, (0.9, 0.999))
    assert (model.warmup_steps, model.max_grad_norm, model.rates, model.head_warmup_steps) == (1000, 1.0, {}, 0)
    assert (config.data.batch_size, config.data.horizon, model.normalization) == (8 * 16, 50, "bounds")
    assert (head.horizon, head.action_dim, head.proprioception_dim) == (50, 24, 24)
    assert (head.layers, head.heads, head.hidden, head.dropout) == (8, 8, 1024, 0.2)
    assert (head.time_alpha, head.time_beta, head.time_min, head.time_max) == (2, 2, 0.02, 0.98)
    assert (head.integration_steps, head.predicts) == (32, "velocity")
    assert (backbone.weights, backbone.views) == ("OpenGVLab/InternVL3-1B-hf", 3)
    assert {source.vision for source in config.data.sources.values()} == visions
    assert len({source.weight for source in config.data.sources.values()}) == 1
    augment = config.data.augment
    assert (augment is None) == (visions == {"masked"})
    if augment is not None:
        published = Augmentation(0.5, (0.95, 1.0), 5.0, 0.3, 0.4, 0.5, 0.08, 0)
        assert Augmentation(**augment.as_dict()) == published


@pytest.mark.parametrize("name", STAGES)
def test_exactly_the_parts_of_its_stage_learn(data, name):
    recipe = Recipe([str(FOLDER / f"{name}.yaml"), str(TINY), "trial.yaml", "after=null", "name=tried"])
    witness = Witness()
    recipe.trainer.callbacks.insert(0, witness)
    recipe.run.begin(recipe.facts())
    recipe.trainer.fit(recipe.model, recipe.datamodule)
    assert witness.seen == [STAGES[name][0]] * 2
    assert Policy.load("runs/tried/policy").head.horizon == 50


def test_each_stage_begins_from_the_one_before_and_leaves_the_rest_alone(data, monkeypatch):
    def here(words):
        fit.main(words)
        return 0

    # A process of its own for each stage would spend its time on imports.
    monkeypatch.setattr(chain, "_fit", here)
    fit.main([str(FOLDER / "la33k_vla.yaml"), str(TINY), "trial.yaml"])
    runs = {path.name.rsplit("-", 1)[0]: path / "policy" for path in (data / "runs").iterdir()}
    policies = {name: Policy.load(path) for name, path in runs.items()}
    assert policies.keys() == {"la33k_stage1", "la33k_stage2", "la33k_vla"}
    for name in ("la33k_stage2", "la33k_vla"):
        trainable, _, _, after = STAGES[name]
        before = policies[after].parts()
        for part, parameters in policies[name].parts().items():
            same = all(torch.equal(*pair) for pair in zip(parameters, before[part], strict=True))
            assert same == (part not in trainable), (name, part)
