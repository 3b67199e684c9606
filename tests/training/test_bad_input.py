"""What a user gets wrong becomes one sentence, a non-zero exit, and nothing is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from la4vla import fit
from la4vla.cli import run_verb
from la4vla.simulators.metaworld import METAWORLD

ROOT = Path(__file__).parents[2]
LA = str(ROOT / "recipes" / "la.yaml")
QUICK = ["start=null", "data.batch_size=4", "data.workers=0", "trainer.callbacks=null", "name=tried"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trainer.max_step=3", "Did you mean 'trainer.max_steps'?"),
        ("model.learning_rat=3", "Did you mean 'model.learning_rate'?"),
        ("data.batch_size=many", "data.batch_size"),
        ("model.backbone=InternVL9", "InternVL9"),
        ("data.sources.la.visio=masked", "visio"),
        ("data.sources.la.vision=blind", "blind"),
        ("model.trainable=[eyes]", "eyes"),
    ],
)
def test_a_wrong_word_fails_before_anything_runs(workspace, capsys, word, said):
    with pytest.raises(SystemExit) as stop:
        fit.main([LA, *QUICK, word])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("usage: python -m la4vla.fit RECIPE.yaml")
    assert not (workspace / "runs").exists()


def test_a_misspelt_key_in_a_recipe_offers_the_closest(workspace, capsys):
    (workspace / "typo.yaml").write_text("trainer: {max_stepz: 3}\n")
    with pytest.raises(SystemExit):
        fit.main([LA, "typo.yaml", *QUICK])
    assert "Did you mean 'trainer.max_steps'?" in capsys.readouterr().err


def test_shards_that_cannot_be_built(workspace):
    with pytest.raises(SystemExit, match=r"error: .*nowhere/la.*no card"):
        run_verb(lambda: fit.main([LA, *QUICK, "data.sources.la.shards=nowhere/la"]))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(workspace):
    words = [LA, *QUICK, "trainer.max_steps=40", "checkpoint_every=1", "model.head_warmup_steps=0"]
    words += ["model.warmup_steps=0", "model.learning_rate=1e18", "trainer.precision=32-true"]
    with pytest.raises(FloatingPointError, match=r"at step \d+, in batch \d+ .*sources: la; .*last\.ckpt"):
        fit.main(words)
    saved = torch.load(workspace / "runs/tried/checkpoints/last.ckpt", weights_only=True)
    assert all(torch.isfinite(v).all() for v in saved["state_dict"].values() if v.is_floating_point())
    assert not (workspace / "runs/tried/policy").exists()


def test_another_recipe_under_the_same_name_is_refused(workspace):
    words = [LA, *QUICK, "trainer.max_steps=1"]
    fit.main(words)
    with pytest.raises(ValueError, match=r"model.learning_rate: 0.001 there, 0.0001 here"):
        fit.main([*words, "model.learning_rate=0.0001"])


def test_a_finished_run_of_other_data_is_refused(workspace, tiny_shards):
    words = [LA, *QUICK, "trainer.max_steps=1"]
    fit.main(words)
    shutil.rmtree(workspace / "shards/metaworld/la")
    tiny_shards(workspace / "shards/metaworld/la", embodiment=METAWORLD, records=13)
    with pytest.raises(ValueError, match=r"runs/tried was made from another data\.sources\.la \(hash"):
        fit.main(words)


def test_half_precision_with_loss_scaling_is_refused(workspace, monkeypatch):
    monkeypatch.setattr("lightning.Trainer.precision", "16-mixed")  # a trainer on a CPU turns it into another
    with pytest.raises(ValueError, match="bf16-mixed or 32-true, not 16-mixed"):
        fit.main([LA, *QUICK, "trainer.max_steps=1"])


def test_a_predecessor_of_another_view_is_refused(workspace, tiny_shards):
    vla = str(ROOT / "recipes" / "vla.yaml")
    fit.main([vla, *QUICK, "trainer.max_steps=1"])
    card = yaml.safe_load((workspace / "runs/tried/policy/config.json").read_text())
    assert card
    other = workspace / "shards/other/vla"
    tiny_shards(other, embodiment=METAWORLD, frames=True, records=12, size_px=64, view="lerobot", cameras=["corner2"])
    words = [vla, *QUICK[:-1], "trainer.max_steps=1", "name=next", "data.sources.vla.shards=shards/other/vla"]
    with pytest.raises(ValueError, match=r"lerobot"):
        fit.main([*words, "model.predecessor=runs/tried/policy"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trainer.accelerator=gpu", "trainer.accelerator=gpu, but torch finds no GPU"),
        ("trainer.max_time=soon", "soon"),
        ("trainer.max_steps=0", "trainer.max_steps=0 trains nothing"),
        ("trainer.gradient_clip_val=1.0", "model.max_grad_norm"),
        ("checkpoint_every=0", "checkpoint_every is at least 1"),
        ("model.trainable=[]", "lets nothing learn"),
        ("model.max_grad_norm=0", "above 0"),
        ("model.trainable=[vision]", "model.head_warmup_steps=200"),
        ("trainer.sync_batchnorm=true", "no batch normalization"),
    ],
)
def test_what_cannot_work_is_a_sentence_and_leaves_no_folder(workspace, monkeypatch, word, said):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(ValueError, match=re.escape(said)):
        fit.main([LA, *QUICK, word])
    assert not (workspace / "runs/tried").exists()
