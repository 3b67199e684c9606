"""Every reader has a card to copy, which reads the layout it is for; every key of an embodiment is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from la4vla.construction.card import read_card
from la4vla.data import readers
from la4vla.data.readers.base import Reader
from la4vla.data.readers.stated_facts import StatedFacts
from la4vla.schema.embodiment import Embodiment

OBS = {
    "robomimic": {"robot0_eef_pos": 3, "robot0_eef_quat": 4, "robot0_gripper_qpos": 2},
    "libero_hdf5": {"ee_pos": 3, "ee_ori": 3, "gripper_states": 2},
}
PICTURES = {
    "robomimic": ("agentview_image", "robot0_eye_in_hand_image"),
    "libero_hdf5": ("agentview_rgb", "eye_in_hand_rgb"),
}


def test_every_reader_has_a_card():
    named = {
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(readers.__path__)
        for name, kind in inspect.getmembers(
            importlib.import_module(f"{readers.__name__}.{module.name}"), inspect.isclass
        )
        if Reader in kind.__mro__[1:] and kind.__module__.endswith(f".{module.name}") and not inspect.isabstract(kind)
    }
    cards = "".join(path.read_text() for path in Path("shards").glob("*.yaml"))
    without = {name for name in named if f"class_path: la4vla.data.readers.{name}\n" not in cards}
    assert not without
    told = Path("docs/cards.md").read_text()
    assert not {name for name in named if f"`{name}`" not in told}


@pytest.mark.parametrize("card", OBS)
def test_the_cards_of_hdf5_files_read_them(tmp_path, card):
    with h5py.File(tmp_path / "lift_demo.hdf5", "w") as file:
        file.create_group("data").attrs["problem_info"] = '{"language_instruction": "lift the cube"}'
        demo = file["data"].create_group("demo_0")
        demo["actions"] = np.zeros((6, 7))
        for name, width in OBS[card].items():
            demo[f"obs/{name}"] = np.zeros((6, width))
        for name in PICTURES[card]:
            demo[f"obs/{name}"] = np.zeros((6, 32, 32, 3), dtype=np.uint8)
    declaration = read_card([f"shards/{card}.yaml", f"reader.init_args.path={tmp_path}"])
    reader = declaration.card.reader
    assert reader.keys() == [("lift", 0)] and len(reader.view.cameras) == 2
    assert set(declaration.card.exports) == {"la", "vla", "whole"}


def test_every_key_of_an_embodiment_is_documented_and_can_be_stated():
    told = Path("docs/cards.md").read_text()
    keys = {field.name for field in fields(Embodiment)}
    assert not {key for key in keys if f"`{key}`" not in told}
    assert keys - {field.name for field in fields(StatedFacts)} == {"cameras", "control_hz"}
