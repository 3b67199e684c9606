"""Shard sets know what they were made from: added, removed and corrected demonstrations are noticed, and named."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from la4vla.construction.build import build, ensure_built
from la4vla.construction.card import read_card
from la4vla.data.manifest import Manifest
from la4vla.data.origin import Origin
from la4vla.data.shards import Shards

CARD = """
reader:
  class_path: la4vla.data.readers.robomimic_hdf5.RobomimicHdf5Reader
  init_args: {{path: {data}, instruction: Lift it, proprioception: [state], cameras: {{}}}}
exports:
  whole: {{unit: episode, frames: false}}
episodes_per_shard: 2
processes: 1
"""


def record(data: Path, numbers: range, steps: int = 4) -> None:
    """Append demonstrations to ``lift.hdf5``; number ``n`` holds ``n`` everywhere."""
    data.mkdir(exist_ok=True)
    with h5py.File(data / "lift.hdf5", "a") as file:
        for number in numbers:
            group = file.require_group("data").create_group(f"demo_{number}")
            group["actions"] = np.full((steps, 7), number, np.float32)
            group["obs/state"] = np.full((steps, 9), number, np.float32)


def correct(data: Path, number: int, value: float) -> None:
    """Write other actions over those of a demonstration, in a file that keeps its size."""
    with h5py.File(data / "lift.hdf5", "r+") as file:
        file[f"data/demo_{number}/actions"][:] = value


@pytest.fixture
def data(tmp_path) -> Path:
    record(tmp_path / "data", range(5))
    return tmp_path / "data"


@pytest.fixture
def card(tmp_path, data) -> Path:
    path = tmp_path / "arm.v2.yaml"
    path.write_text(CARD.format(data=data))
    return path


@pytest.fixture
def built(card) -> Path:
    build(read_card([str(card)]))
    return card.with_suffix("") / "whole"


def actions(folder: Path) -> list[float]:
    """The first number of every record."""
    shards = Shards(folder)
    return shards.actions[shards.starts[:-1], 0].tolist()


def test_recorded_removed_and_corrected_demonstrations_are_named(built, card, data):
    record(data, range(5, 7))
    with h5py.File(data / "lift.hdf5", "r+") as file:
        del file["data/demo_1"]
    correct(data, 2, 20.0)
    told = (
        r"whole was made from .*data, of which since then: 2 episodes added \(lift-0005, lift-0006\), 1 episode "
        rf"removed \(lift-0001\), 1 episode changed.*\(lift-0002\)\. .*construct {card} source_changed=rebuild.*=keep\."
    )
    with pytest.raises(ValueError, match=told):
        ensure_built(built)
    with pytest.raises(ValueError, match=told):
        build(read_card([str(card)]))
    assert actions(built) == [0, 1, 2, 3, 4]


def test_nothing_is_said_of_files_that_were_touched_or_are_gone(built, data, capsys):
    os.utime(data / "lift.hdf5", (1, 1))
    ensure_built(built)
    data.rename(data.with_name("elsewhere"))
    ensure_built(built)
    assert capsys.readouterr().err == ""


def test_a_changed_source_is_read_again_on_request_alone(built, card, data, capsys):
    correct(data, 4, 40.0)
    record(data, range(5, 6))
    build(read_card([str(card), "source_changed=rebuild"]))
    assert "is made anew; of its source, since it was made: 1 episode added" in capsys.readouterr().err
    assert actions(built) == [0, 1, 2, 3, 40, 5]
    ensure_built(built)
    assert "source_changed" not in Manifest.read(built).card


def test_a_set_that_is_kept_stays_for_good(built, card, data, capsys):
    record(data, range(5, 6))
    build(read_card([str(card), "source_changed=keep"]))
    assert "is kept as it was made" in capsys.readouterr().err
    record(data, range(6, 7))
    ensure_built(built)
    build(read_card([str(card)]))
    assert "2 episodes added" in capsys.readouterr().err and actions(built) == [0, 1, 2, 3, 4]
    build(read_card([str(card), "source_changed=rebuild"]))
    assert len(actions(built)) == 7 and not Origin.read(built).kept


def test_a_stopped_build_that_goes_on_mixes_nothing(card, data, monkeypatch):
    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("la4vla.construction.build.finish_set", full)
    with pytest.raises(OSError, match="No space left"):
        build(read_card([str(card)]))
    monkeypatch.undo()
    folder = card.with_suffix("")
    first = (folder / "whole" / "00000.tar").stat().st_mtime_ns
    correct(data, 2, 20.0)
    record(data, range(5, 6))
    build(read_card([str(card)]))
    assert actions(folder / "whole") == [0, 1, 20, 3, 4, 5]
    assert (folder / "whole" / "00000.tar").stat().st_mtime_ns == first, "what had not changed was built again"
    assert Manifest.read(folder / "whole").source == Origin.read(folder / "whole").digest


def test_data_that_change_while_they_are_read_make_no_set(card, data, monkeypatch):
    from la4vla.construction import build as module

    def late(*words):
        reports = groups(*words)
        record(data, range(5, 6))
        return reports

    groups = module._build_groups
    monkeypatch.setattr(module, "_build_groups", late)
    with pytest.raises(ValueError, match=r"whole changed while they were read: 1 episode added \(lift-0005\)"):
        build(read_card([str(card)]))
    monkeypatch.undo()
    build(read_card([str(card)]))
    assert len(actions(card.with_suffix("") / "whole")) == 6


def test_after_the_data_are_mended_the_same_command_finds_them(card, data):
    with h5py.File(data / "lift.hdf5", "r+") as file:
        states = [file[f"data/demo_{n}/obs"].pop("state")[()] for n in range(5)]
    with pytest.raises(ValueError, match="5 demonstrations were left out"):
        build(read_card([str(card)]))
    with h5py.File(data / "lift.hdf5", "r+") as file:
        for number, state in enumerate(states):
            file[f"data/demo_{number}/obs/state"] = state
    build(read_card([str(card)]))
    assert len(actions(card.with_suffix("") / "whole")) == 5


def test_after_the_code_is_mended_the_same_command_tries_again(moving_card, tmp_path, monkeypatch):
    import moving_arm

    words = [str(moving_card), "reader={class_path: moving_arm.BrokenArm, init_args: {episodes: 5}}"]
    with pytest.raises(ValueError, match="5 demonstrations were left out"):
        build(read_card(words))
    monkeypatch.setattr(moving_arm.BrokenArm, "read", moving_arm.MovingArm.read)
    build(read_card(words))
    assert len(Shards(tmp_path / "moving" / "la")) > 5


def test_a_set_travels_without_its_source_and_without_its_word_of_it(built, data, tmp_path):
    there = tmp_path / "training" / "whole"
    shutil.copytree(built, there)
    (there / "source.json").unlink()
    record(data, range(5, 6))
    ensure_built(there)
    assert len(Shards(there)) == 5
