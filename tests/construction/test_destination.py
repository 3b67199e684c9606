"""What is built goes nowhere where it would do harm."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from la4vla.construction.build import build
from la4vla.construction.card import read_card

CARD = """
reader:
  class_path: la4vla.data.readers.robomimic_hdf5.RobomimicHdf5Reader
  init_args: {{path: {path}, instruction: Lift it, proprioception: [state], cameras: {{}}}}
exports: {{whole: {{unit: episode, frames: false}}}}
processes: 1
"""


@pytest.fixture
def data(tmp_path) -> Path:
    """A data set beside a card that bears its name."""
    folder = tmp_path / "robot"
    folder.mkdir()
    with h5py.File(folder / "lift.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.zeros((3, 7), np.float32)
        file["data/demo_0/obs/state"] = np.zeros((3, 9), np.float32)
    (folder / "README.md").write_text("# My robot\n")
    (tmp_path / "robot.yaml").write_text(CARD.format(path=folder))
    return folder


@pytest.mark.parametrize(("where", "how"), [("", "is"), ("/sets", "lies within"), ("/..", "holds")])
def test_a_data_set_is_not_built_into(data, where, how):
    before = sorted(data.parent.rglob("*"))
    words = [str(data.with_suffix(".yaml")), *([f"folder={data}{where}"] if where else [])]
    with pytest.raises(ValueError, match=rf"which {how} the data set {data} they are made from\. Give another folder"):
        build(read_card(words))
    assert sorted(data.parent.rglob("*")) == before and (data / "README.md").read_text() == "# My robot\n"


def test_a_folder_beside_the_file_is_fine(data, tmp_path):
    card = tmp_path / "robot" / "lift.yaml"
    card.write_text(CARD.format(path=data / "lift.hdf5"))
    build(read_card([str(card)]))
    assert (data / "lift" / "whole" / "00000.tar").exists()


def test_tars_of_others_are_neither_written_over_nor_cleared_away(data, tmp_path):
    folder = tmp_path / "sets"
    (folder / "whole").mkdir(parents=True)
    words = [str(data.with_suffix(".yaml")), f"folder={folder}"]
    for name in ("laion-01.tar", "00000.tar"):
        (folder / "whole" / name).write_text("theirs")
    with pytest.raises(FileExistsError, match=r"00000\.tar is not of la4vla, .*Move it away, or give another folder"):
        build(read_card(words))
    (folder / "whole" / "00000.tar").unlink()
    build(read_card(words))
    assert (folder / "whole" / "laion-01.tar").read_text() == "theirs"
