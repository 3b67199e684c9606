"""DROID's conventions: an opening that opens, differences that stay small, one embodiment for each kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from la4vla.construction.card import read_card
from la4vla.data.deltas import wrapped
from la4vla.data.readers.droid import CAMERAS, DROID, DroidReader
from la4vla.data.readers.la33k import LA33KReader
from la4vla.data.unusable import UnusableEpisode

POSE = ("x", "y", "z", "roll", "pitch", "yaw")
COLUMNS = {
    "observation.state.cartesian_position": POSE,
    "observation.state.gripper_position": ("gripper",),
    "action.cartesian_position": POSE,
    "action.gripper_position": ("gripper",),
}


@pytest.fixture
def droid(lerobot):
    return lerobot("v2.1", columns=COLUMNS, cameras=tuple(CAMERAS))


def test_the_gripper_is_turned_round(droid):
    folder, demos = droid
    reader = DroidReader(str(folder), size_px=16)
    episode = reader.read(reader.keys()[0], False, Counter())
    for made, column in ((episode.proprioception, "observation.state"), (episode.actions, "action")):
        np.testing.assert_allclose(made[:, 6], 1 - demos[0].columns[f"{column}.gripper_position"][:, 0], atol=1e-6)
    assert (DROID.gripper_open, DROID.gripper_closed, DROID.control_hz) == (1.0, 0.0, 15.0)
    np.testing.assert_array_equal(
        episode.proprioception[:, :6], demos[0].columns["observation.state.cartesian_position"]
    )


def test_differences_follow_the_reference_and_are_wrapped(droid):
    folder, _ = droid
    path = folder / "data/chunk-000/episode_000001.parquet"
    table = pq.read_table(path)
    for name, roll in (("observation.state", np.pi - 0.05), ("action", -np.pi + 0.05)):
        column = f"{name}.cartesian_position"
        rows = np.array(table[column].to_pylist())
        rows[:, 3] = roll
        table = table.set_column(table.column_names.index(column), column, [rows.tolist()])
    pq.write_table(table, path)
    state, command = (np.array(table[f"{n}.cartesian_position"].to_pylist()) for n in ("observation.state", "action"))
    for deltas, before in (("per_step", state), ("anchored", np.concatenate([state[:1], command[:-1]]))):
        reader = DroidReader(str(folder), deltas, size_px=16)
        episode = reader.read(reader.keys()[1], False, Counter())
        np.testing.assert_allclose(episode.actions[:, :3], (command - before)[:, :3], atol=1e-6)
        np.testing.assert_allclose(episode.actions[:, 3:6], wrapped((command - before)[:, 3:6]), atol=1e-6)
        assert np.abs(episode.actions[0, 3] - 0.1) < 1e-5, "a crossing of pi is a tenth, not a whole turn"


def test_each_kind_of_differences_is_an_embodiment_of_its_own(droid):
    names = {deltas: DroidReader(str(droid[0]), deltas).embodiment for deltas in ("per_step", "anchored", "none")}
    assert [body.name for body in names.values()] == ["droid", "droid_anchored", "droid_absolute"]
    assert names["none"].actions[0] == "x_m" and names["per_step"].actions[0] == "dx_m"


def test_an_episode_without_gripper_is_left_out(droid):
    folder, _ = droid
    path = folder / "data/chunk-000/episode_000002.parquet"
    pq.write_table(pq.read_table(path).drop_columns("observation.state.gripper_position"), path)
    reader = DroidReader(str(folder), size_px=16)
    reader.read(reader.keys()[1], True, Counter())
    sentence = r"Episode .*-000002 is left out \(missing column\): .* has no column observation.state.gripper_position"
    with pytest.raises(UnusableEpisode, match=sentence):
        reader.read(reader.keys()[2], True, Counter())


def test_la33k_shares_the_body_and_needs_no_videos(droid):
    folder, demos = droid
    reader = LA33KReader(str(folder), cameras=[])
    assert reader.view is None and reader.embodiment == LA33KReader(str(folder)).embodiment == DROID
    one = LA33KReader(str(folder), cameras=["wrist_left"])
    assert one.embodiment == DROID and one.view.cameras == ("wrist_left",)
    assert set(one.read(one.keys()[0], True, Counter()).frames) == {"wrist_left"}
    assert [reader.read(key, False, Counter()).instruction for key in reader.keys()] == [demo.task for demo in demos]


def test_an_unknown_camera_is_refused(droid):
    with pytest.raises(ValueError, match="no camera wrist; it has exterior_1_left"):
        DroidReader(str(droid[0]), cameras=["wrist"])


def test_the_card_for_any_robot_parses(lerobot):
    folder, _ = lerobot("v3.0", cameras=("front",))
    card = read_card(["shards/lerobot.yaml", f"reader.init_args.root={folder}"]).card
    assert card.reader.embodiment.gripper_action == 6 and card.reader.view.name == "tiny_arm_224"


@pytest.mark.parametrize(("card", "sets"), [("droid", {"la", "vla"}), ("la33k", {"la", "vla"}), ("la33k_v", {"vla"})])
def test_the_published_cards_fit_the_layout(droid, card, sets, tmp_path):
    declaration = read_card([f"shards/{card}.yaml", f"reader.init_args.root={droid[0]}"])
    assert declaration.card.reader.embodiment.name == "droid"
    assert sets <= set(declaration.card.exports) and Path(declaration.folder) == Path(f"shards/{card}")
    with pytest.raises(FileNotFoundError, match=r"no LeRobot data set in .*nothing"):
        read_card([f"shards/{card}.yaml", f"reader.init_args.root={tmp_path}/nothing"])
