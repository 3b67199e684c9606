"""The check's segments are there before training begins."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from la4vla import fit
from la4vla.data.shards import Shards
from la4vla.models.model_card import card
from la4vla.models.policy import Policy

ROOT = Path(__file__).parents[3]
WORDS = [
    str(ROOT / "recipes/la.yaml"), "start=null", "trainer.max_steps=1", "data.batch_size=4", "data.workers=0",
    "name=checked",
]  # fmt: skip
CARD = """
reader:
  class_path: la4vla.data.readers.metaworld_experts.MetaworldExperts
  init_args: {episodes: 2, tasks: [door-unlock]}
segmenter: {class_path: KinematicSegmenter}
exports:
  heldout_la: {tasks: [door-unlock], unit: segment, frames: false}
processes: 1
"""


def test_missing_segments_are_built_from_their_card(workspace):
    shutil.rmtree(workspace / "shards/metaworld/heldout_la")
    (workspace / "shards/metaworld.yaml").write_text(CARD)
    fit.main(WORDS)
    assert len(Shards(workspace / "shards/metaworld/heldout_la")) > 2
    results = json.loads((workspace / "runs/checked/provenance.json").read_text())["results"]
    measured = results["direction_following"]["masked"]["directional_alignment_rate"]
    with (workspace / "runs/checked/csv/version_0/metrics.csv").open() as file:
        logged = [row["direction_following/masked/directional_alignment_rate"] for row in csv.DictReader(file)]
    assert [float(value) for value in logged if value] == [pytest.approx(measured)]
    told = card(Policy.load("runs/checked/policy"), "me/checked")
    assert "on segments of shards/metaworld/heldout_la" in told and "| conflicting proprioception |" in told


def test_segments_that_cannot_be_built_stop_before_training(workspace):
    shutil.rmtree(workspace / "shards/metaworld/heldout_la")
    with pytest.raises(FileNotFoundError, match="heldout_la holds no finished shard set, and there is no card"):
        fit.main(WORDS)
    assert not (workspace / "runs/checked/checkpoints/last.ckpt").exists()
