"""Every setting of Lightning's trainer is followed, or refused with what to set in its place."""

from __future__ import annotations

import inspect

import pytest
from lightning import Trainer

from la4vla.training.trainer_settings import FOLLOWED, REFUSED, check_trainer

# One value for each refused setting, and a word of the sentence that names what to do.
WRONG = {
    "fast_dev_run": (True, "trainer.max_steps=2"),
    "max_epochs": (3, "trainer.max_steps"),
    "min_epochs": (1, "trainer.max_steps"),
    "limit_train_batches": (10, "trainer.max_steps"),
    "reload_dataloaders_every_n_epochs": (1, "trainer.max_steps"),
    "limit_val_batches": (5, "BenchmarkRollouts"),
    "limit_test_batches": (0.5, "BenchmarkRollouts"),
    "limit_predict_batches": (5, "BenchmarkRollouts"),
    "val_check_interval": (100, "BenchmarkRollouts"),
    "check_val_every_n_epoch": (2, "BenchmarkRollouts"),
    "num_sanity_val_steps": (2, "BenchmarkRollouts"),
    "inference_mode": (False, "BenchmarkRollouts"),
    "overfit_batches": (1, "data.sources"),
    "gradient_clip_val": (0.5, "model.max_grad_norm"),
    "gradient_clip_algorithm": ("value", "model.max_grad_norm"),
    "enable_checkpointing": (False, "checkpoint_every"),
    "use_distributed_sampler": (True, "share"),
    "barebones": (True, "checkpoints"),
    "default_root_dir": ("elsewhere", "runs=FOLDER and name=NAME"),
    "model_registry": ("mine", "push_to_hub"),
}
OTHERS = [
    ("max_steps", -1, "trainer.max_steps is missing"),
    ("max_steps", 0, "trainer.max_steps=0 trains nothing"),
    ("min_steps", 9, "beyond trainer.max_steps=4"),
    ("accumulate_grad_batches", 0, "at least 1"),
    ("precision", "16-mixed", "bf16-mixed or 32-true, not 16-mixed"),
    ("precision", "bf16-true", "bf16-mixed keeps them in float32"),
    ("precision", "64-true", "float32 or less"),
    ("strategy", "fsdp", "overlays/fsdp.yaml"),
    ("strategy", "deepspeed_stage_2", "overlays/deepspeed_2.yaml"),
    ("strategy", {"class_path": "lightning.pytorch.strategies.FSDPStrategy"}, "overlays/fsdp.yaml"),
    ("logger", False, "loss.png"),
]


def test_no_setting_of_lightning_s_is_forgotten():
    names = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert names == FOLLOWED | REFUSED.keys()
    assert WRONG.keys() == REFUSED.keys()


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_would_do_nothing_is_refused_with_what_to_set(name):
    value, said = WRONG[name]
    with pytest.raises(ValueError, match=rf"^trainer\.{name}=.*{said}"):
        check_trainer({"max_steps": 4, name: value})
    for same in REFUSED[name][0]:
        check_trainer({"max_steps": 4, name: same})


@pytest.mark.parametrize(("name", "value", "said"), OTHERS)
def test_values_that_cannot_work_have_sentences_of_their_own(name, value, said):
    with pytest.raises(ValueError, match=said):
        check_trainer({"max_steps": 4, name: value})


def test_a_setting_that_is_not_given_is_lightning_s_own_and_passes():
    defaults = {n: p.default for n, p in inspect.signature(Trainer.__init__).parameters.items() if n != "self"}
    ours = {"max_steps": 4, "use_distributed_sampler": False}
    check_trainer({**defaults, **ours})
    check_trainer({**ours, "precision": "bf16-mixed", "strategy": {"class_path": "la4vla.training.zero.ZeRO"}})
