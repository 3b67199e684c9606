"""Overlays go with every kind of recipe: one with callbacks of its own, and one without."""

from __future__ import annotations

from pathlib import Path

import pytest

from la4vla.training.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
SETS = (["ddp", "slurm", "ema"], ["fsdp", "slurm"], ["deepspeed_2", "slurm"], ["deepspeed_3", "slurm"])


class Parsed(Recipe):
    """A recipe that is read and no more."""

    def before_instantiate_classes(self):
        """Build nothing."""

    def instantiate_classes(self):
        """Instantiate nothing."""


@pytest.mark.parametrize("overlays", SETS, ids="-".join)
@pytest.mark.parametrize("recipe", ["la", "common_start"])
def test_overlays_add_their_callbacks_to_those_of_the_recipe(recipe, overlays):
    words = [str(RECIPES / f"{recipe}.yaml"), *(str(RECIPES / "overlays" / f"{name}.yaml") for name in overlays)]
    trainer = Parsed(words).config.trainer
    names = [callback.class_path.rsplit(".", 1)[-1] for callback in trainer.callbacks]
    own = ["DirectionCheck"] if recipe == "la" else []
    assert names == [*own, "Requeue", *(["EMAWeightAveraging"] if "ema" in overlays else [])]
    assert trainer.devices == "auto"
    assert trainer.strategy
