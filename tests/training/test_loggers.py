"""A recipe's loggers come beside the built-in ones, and all of them hear of rate, check and films."""

from __future__ import annotations

import csv

import imageio.v3 as imageio
import numpy as np
import pytest
from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from la4vla import fit
from la4vla.training.loggers import log_film


class Diary(Logger):
    """Keeps what it is told, for the test to read."""

    told: dict[str, float] = {}  # noqa: RUF012
    recipe: dict = {}  # noqa: RUF012
    name, version = "diary", 0

    def log_metrics(self, metrics, step=None):
        Diary.told |= metrics

    def log_hyperparams(self, params, *args, **kwargs):
        Diary.recipe = dict(params)


def test_a_recipe_s_logger_comes_beside_csv_and_tensorboard(workspace, mixed, monkeypatch):
    (workspace / "diaries.py").write_text("from lightning.pytorch.loggers import Logger\n")
    monkeypatch.syspath_prepend(workspace)
    import diaries

    diaries.Diary = Diary
    Diary.__module__ = "diaries"
    fit.main([mixed, "trainer.logger={class_path: diaries.Diary}", "trainer.max_steps=1", "name=told"])
    assert {"loss", "loss/la", "learning_rate/head", "grad_norm"} <= Diary.told.keys()
    assert Diary.recipe["trainer"]["max_steps"] == 1
    with next(workspace.glob("runs/told/csv/*/metrics.csv")).open() as file:
        row = next(csv.DictReader(file))
    assert float(row["learning_rate/head"]) == pytest.approx(5e-4)  # the first of two steps of warm-up
    assert float(row["learning_rate/language"]) == 0.0  # joins after the head's own warm-up
    events = EventAccumulator(str(workspace / "runs/told/tensorboard"))
    events.Reload()
    assert {"loss", "learning_rate/head"} <= set(events.Tags()["scalars"])


def test_a_film_moves_in_tensorboard(tmp_path):
    film = tmp_path / "film.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), dtype=np.uint8)
    imageio.imwrite(film, pixels, plugin="FFMPEG", fps=10, macro_block_size=2)
    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    trainer = Trainer(logger=logger, accelerator="cpu", enable_checkpointing=False, default_root_dir=tmp_path)
    log_film(trainer, "still/seed_1", film)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (shown,) = events.Images("still/seed_1")
    assert (shown.width, shown.height) == (48, 32)
    assert imageio.imread(shown.encoded_image_string, plugin="pillow").shape == (6, 32, 48, 3)


def test_wandb_s_own_client_hears_of_it_offline(workspace, mixed, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = "{class_path: WandbLogger, init_args: {offline: true, project: tried}}"
    fit.main([mixed, f"trainer.logger={logger}", "trainer.max_steps=1", "name=told"])
    assert list(workspace.glob("runs/told/wandb/offline-run-*/run-*.wandb"))
    assert not (workspace / "wandb").exists()
