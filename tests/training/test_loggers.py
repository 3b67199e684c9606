"""A recipe's loggers come beside the built-in ones."""

from __future__ import annotations

import csv

import pytest
from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from la4vla import fit


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


def test_wandb_s_own_client_hears_of_it_offline(workspace, mixed, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = "{class_path: WandbLogger, init_args: {offline: true, project: tried}}"
    fit.main([mixed, f"trainer.logger={logger}", "trainer.max_steps=1", "name=told"])
    assert list(workspace.glob("runs/told/wandb/offline-run-*/run-*.wandb"))
    assert not (workspace / "wandb").exists()
