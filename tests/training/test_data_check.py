"""Data that a policy would cut, or cannot read, are refused before the first step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from la4vla import fit
from la4vla.data.record import Record
from la4vla.data.shard_writer import write_manifest, write_shard
from la4vla.data.statistics import StatisticsStream
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain

BODY = Embodiment("turner", ("x_m", "lift_m"), ("dx_m", "dyaw_rad"), ("front",), control_hz=10.0)
RECIPE = """
model:
  backbone: {class_path: InternVL3, init_args: {variant: tiny, vision_layers: 1, language_layers: 1}}
  head:
    class_path: FlowMatchingHead
    init_args: {horizon: 4, action_dim: 2, proprioception_dim: 2, layers: 1, heads: 2, hidden: 32, dropout: 0.0}
data:
  sources: {only: {shards: SHARDS, vision: masked}}
  batch_size: 4
  workers: 0
trainer: {max_steps: 1, accelerator: cpu, precision: 32-true}
"""

PREDECESSOR = "model.predecessor=runs/there/policy"

Build = Callable[..., str]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """``build("there", reach=0.1, yaw=0.0)``: a set of even motion, and a recipe ``there.yaml`` that trains on it."""
    monkeypatch.chdir(tmp_path)

    def make(
        name: str, reach: float = 0.1, yaw: float = 0.0, lift: float = 0.3, steps: int = 60, text: str = "Turn left"
    ) -> str:
        even = np.linspace(-1, 1, steps)
        proprioception = np.stack([even, np.linspace(0.3, lift, steps)], axis=1).astype(np.float32)
        actions = np.stack([reach * even, yaw * even], axis=1).astype(np.float32)
        record = Record(
            key="episode0", task="turn", instruction=text, proprioception=proprioception, actions=actions
        )  # fmt: skip
        streams = StatisticsStream(), StatisticsStream()
        for stream, rows in zip(streams, (proprioception, actions), strict=True):
            stream.update(record.key, rows)
        write_shard(tmp_path / name / "00000.tar", [record])
        domain = Domain(BODY, None, *(stream.finish() for stream in streams))
        write_manifest(tmp_path / name, name=name, unit="episode", domain=domain, shards=["00000.tar"], card={})
        (tmp_path / f"{name}.yaml").write_text(RECIPE.replace("SHARDS", str(tmp_path / name)))
        return f"{name}.yaml"

    return make


def test_a_turn_that_the_predecessor_never_saw_is_refused_or_joined(
    build: Build,
) -> None:
    fit.main([build("there")])
    after = build("here", reach=0.3, yaw=0.5)
    with pytest.raises(
        ValueError, match=r"action dyaw_rad was always 0 there and goes from -0\.5 to 0\.5 here"
    ) as told:
        fit.main([after, PREDECESSOR])
    assert "model.statistics=union" in str(told.value) and not list(Path("runs").glob("here*/policy"))
    for whose in ("union", "data"):
        fit.main([after, PREDECESSOR, f"model.statistics={whose}", f"name={whose}"])
        assert Path(f"runs/{whose}/policy/config.json").exists()


def test_larger_motions_are_counted_refused_and_told(build: Build) -> None:
    fit.main([build("there", yaw=0.5)])
    after = build("here", reach=0.3, yaw=0.5)
    told = "source only: action dx_m goes from -0.3 to 0.3 here, and 63.3% of that lies outside of -0.1 to 0.1"
    with pytest.raises(ValueError, match=f"would cut {told}"):
        fit.main([after, PREDECESSOR])
    fit.main([after, PREDECESSOR, "model.most_clamped=0.7", "name=clamped"])
    begun = json.loads(Path("runs/clamped/provenance.json").read_text())["begins_from"]
    assert f"Clamped of {told}" in begun


def test_proprioception_is_asked_as_well(build: Build) -> None:
    fit.main([build("there")])
    after = build("here", lift=0.9)
    with pytest.raises(ValueError, match=r"proprioception lift_m was always 0\.3 there and goes from 0\.3 to 0\.9"):
        fit.main([after, PREDECESSOR])


def test_a_small_source_that_the_quantiles_of_a_large_one_cut_is_refused(build: Build, tmp_path: Path) -> None:
    recipe = build("large", steps=4000)
    build("small", reach=1.0, steps=20)
    words = [recipe, "data.sources.small.shards=" + str(tmp_path / "small"), "data.sources.small.vision=masked"]
    with pytest.raises(
        ValueError,
        match=r"would cut source small: action dx_m goes from -1 to 1 here, and 90\.0% of that lies outside of",
    ):
        fit.main([*words, "model.normalization=quantiles", "name=quantiles"])
    fit.main([*words, "model.normalization=bounds", "name=bounds"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("turn left and " * 200, "Source only, record episode0: The instruction 'turn left"),
        ("Look at <img> now", "Source only, record episode0: An instruction may not hold <img>"),
    ],
)
def test_a_text_that_cannot_be_read_is_named_before_the_first_step(build: Build, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit.main([build("there", yaw=0.5, text=text)])


def test_a_raised_limit_is_no_other_run(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = build("there", yaw=0.5)
    fit.main([recipe])
    fit.main([recipe, "model.backbone.init_args.instruction_tokens=4000"])
    assert "is finished already" in capsys.readouterr().out
