"""What a machine is found to be able to do."""

from pathlib import Path

import pytest
import torch

from la4vla.training.machine import fastest_precision
from la4vla.training.recipe import Recipe


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_is_for_processors_that_multiply_it(monkeypatch, in_hardware, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: in_hardware)
    assert fastest_precision() == precision


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_so_it_is_on_a_gpu(monkeypatch, in_hardware, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: in_hardware)
    assert fastest_precision() == precision


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        ([], "bf16-mixed"),
        (["trainer.accelerator=cpu"], "32-true"),
        (["trainer.accelerator=cpu", "trainer.precision=bf16-mixed"], "bf16-mixed"),
        (["trainer.precision=32-true"], "32-true"),
    ],
)
def test_a_recipe_without_a_precision_takes_its_device_s_fastest(mixed, monkeypatch, words, precision):
    def of(device: str | None) -> str:
        return "32-true" if device == "cpu" else "bf16-mixed"  # a GPU beside a processor without bfloat16

    monkeypatch.setattr("la4vla.training.recipe.fastest_precision", of)
    monkeypatch.setattr(Recipe, "before_instantiate_classes", lambda recipe: None)
    monkeypatch.setattr(Recipe, "instantiate_classes", lambda recipe: None)
    Path(mixed).write_text(Path(mixed).read_text().replace(", accelerator: cpu, precision: 32-true", ""))
    assert Recipe([mixed, *words]).config.trainer.precision == precision
