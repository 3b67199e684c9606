"""What a machine is found to be able to do."""

import pytest
import torch

from la4vla.training.machine import fastest_precision
from la4vla.training.recipe import TRAINER_DEFAULTS


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


def test_recipes_take_this_machine_as_it_is():
    assert TRAINER_DEFAULTS["precision"] == fastest_precision()
