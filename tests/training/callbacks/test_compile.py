"""Compiled layers answer as others do, and leave what others leave."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.training.callbacks.compile import Compile
from la4vla.training.module import PolicyModule
from la4vla.training.recipe import Recipe

RECIPES = Path(__file__).parents[3] / "recipes"


class Parsed(Recipe):
    """A recipe that is read and no more."""

    def before_instantiate_classes(self):
        """Build nothing."""

    def instantiate_classes(self):
        """Instantiate nothing."""


def test_compiled_layers_give_the_same_loss_and_gradients(workspace):
    """``eager`` runs what was traced as it stands: the same route through torch.compile, without a C++ compiler."""
    data = MixtureDataModule({"la": Source("shards/metaworld/la", "masked")}, 4, batch_size=4, workers=0)
    batch = next(iter(data.train_dataloader()))
    backbone = InternVL3(vision_layers=1, language_layers=2, recompute=True)
    head = FlowMatchingHead(backbone.width, 4, 8, 8, layers=1, heads=2, hidden=8, dropout=0.0)
    module = PolicyModule(backbone, head, data.domains)
    names = set(module.state_dict())
    plain = copy.deepcopy(module)
    Compile(backend="eager").setup(None, module, "fit")
    layers = [*backbone.model.vision_tower.encoder.layer, *backbone.model.language_model.layers, *head.blocks]
    assert all(layer._compiled_call_impl is not None for layer in layers)
    losses = [one.policy.loss(batch) for one in (plain, module)]
    torch.testing.assert_close(losses[1], losses[0])
    for loss in losses:
        loss.sum().backward()
    for (name, one), two in zip(plain.named_parameters(), module.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(two.grad, one.grad, atol=1e-6, rtol=1e-5, msg=name)
    assert set(module.state_dict()) == names
    assert all(layer._compiled_call_impl is None for layer in copy.deepcopy(head).blocks)


def test_overlays_of_speed_go_with_a_recipe_and_with_each_other():
    overlays = (str(RECIPES / "overlays" / f"{name}.yaml") for name in ("compile", "checkpointing", "lora"))
    config = Parsed([str(RECIPES / "la.yaml"), *overlays]).config
    names = [callback.class_path.rsplit(".", 1)[-1] for callback in config.trainer.callbacks]
    assert names == ["DirectionCheck", "Compile"]
    assert config.model.backbone.init_args.recompute and config.model.backbone.init_args.vision_layers == 3
    assert config.model.lora.rank == 16 and config.model.trainable == ["language", "head"]
