"""Commanded poses become increments, with angles the short way round, and an embodiment of their own."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.construction.card import read_card
from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.readers.stated_facts import StatedFacts
from la4vla.schema.embodiment import Embodiment

POSE = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
STATE, ACTION = "observation.state", "action"


@pytest.fixture
def poses(lerobot):
    """A hand that moves by 1 cm a step along y and turns over pi, told where to go one step ahead."""
    folder, _ = lerobot(lengths=[6] * 3, columns={STATE: POSE, ACTION: POSE})
    steps = np.arange(7)
    way = np.zeros((7, 7), dtype=np.float32)
    way[:, 0], way[:, 1], way[:, 6] = 0.5, 0.01 * steps, steps % 2
    way[:, 3] = (np.pi - 0.15 + 0.1 * steps + np.pi) % (2 * np.pi) - np.pi
    for path in folder.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        for name, rows in ((STATE, way[:-1]), (ACTION, way[1:])):
            table = table.set_column(table.column_names.index(name), name, pa.array(rows.tolist()))
        pq.write_table(table, path)
    return folder


def read(reader):
    return reader.read(reader.keys()[0], False, Counter())


@pytest.mark.parametrize("deltas", ["per_step", "anchored"])
def test_poses_become_increments_of_another_body(poses, deltas):
    reader = LeRobotReader(str(poses), deltas=deltas, size_px=16)
    episode = read(reader)
    np.testing.assert_allclose(episode.actions[:, :6], [[0, 0.01, 0, 0.1, 0, 0]] * 6, atol=1e-6)
    assert episode.actions[:, 6].tolist() == [1, 0, 1, 0, 1, 0], "the gripper's command stays what it is"
    body = reader.embodiment
    assert body.name == f"tiny_arm_{deltas}" and body.action_form == "increment"
    assert body.actions[:2] == ("delta_x", "delta_y") and body.actions[6] == "gripper"
    assert body.proprioception == POSE and body.gripper_action == 6


def test_poses_stay_absolute_and_segments_of_them_are_refused(poses, capsys):
    reader = LeRobotReader(str(poses), size_px=16)
    assert reader.embodiment.action_form == "absolute" and reader.embodiment.name == "tiny_arm"
    np.testing.assert_allclose(read(reader).actions[:, 1], 0.01 * np.arange(1, 7), atol=1e-6)
    assert "facts.action_form=increment" in capsys.readouterr().err
    words = ["shards/lerobot.yaml", f"reader.init_args.root={poses}"]
    with pytest.raises(ValueError, match=r"needs increments as actions, and those of embodiment tiny_arm are absolute"):
        read_card(words)
    assert read_card([*words, "reader.init_args.deltas=per_step"]).card.reader.embodiment.name == "tiny_arm_per_step"


def test_dimensions_and_angles_can_be_stated(poses):
    reader = LeRobotReader(str(poses), deltas="per_step", measured={1: 1, 3: 3}, angles=[], size_px=16)
    actions = read(reader).actions
    np.testing.assert_allclose(actions[:, 0], 0.5)
    np.testing.assert_allclose(actions[:, 1], 0.01, atol=1e-6)
    assert actions[1, 3] == pytest.approx(0.1 - 2 * np.pi, abs=1e-5), "no angle was named, so none is wrapped"
    assert reader.embodiment.actions[:2] == ("x", "delta_y")


def test_a_stated_body_describes_what_comes_out(poses):
    names = ("x_m", "y_m", "z_m", "roll_rad", "pitch_rad", "yaw_rad", "gripper_opening")
    settings = dict(cameras={}, size_px=16, deltas="per_step")
    body = Embodiment("mine", names, (*(f"d{name}" for name in names[:6]), "gripper_opening"), (), 15.0)
    reader = LeRobotReader(str(poses), embodiment=body, **settings)
    assert reader.embodiment.action_form == "increment" and reader.embodiment.name == "mine"
    np.testing.assert_allclose(read(reader).actions[:, [1, 3]], [[0.01, 0.1]] * 6, atol=1e-6)
    absolute = StatedFacts(action_form="absolute")
    with pytest.raises(ValueError, match=r"makes increments, and embodiment mine says that its actions are absolute"):
        LeRobotReader(str(poses), embodiment=body, facts=absolute, **settings)


def test_joints_are_measured_by_those_of_their_name(lerobot):
    folder, demos = lerobot(columns={STATE: ("elbow.pos", "gripper.pos"), ACTION: ("elbow.pos", "gripper.pos")})
    reader = LeRobotReader(str(folder), deltas="per_step", size_px=16)
    told, felt = (demos[0].columns[name] for name in (ACTION, STATE))
    np.testing.assert_allclose(read(reader).actions, np.stack([told[:, 0] - felt[:, 0], told[:, 1]], 1), atol=1e-6)
    assert reader.embodiment.actions == ("delta_elbow.pos", "gripper.pos")


@pytest.mark.parametrize(
    ("state", "action", "settings", "sentence"),
    [
        (POSE, ("dx", "dy", "dz"), {}, r"are called dx, dy, dz: leave deltas out"),
        (("a", "b"), ("c", "d"), {}, r"No action of embodiment tiny_arm is called like a number of its proprio"),
        (
            ("x", "qx", "qy", "qz", "qw"),
            ("x", "qx", "qy", "qz", "qw"),
            {},
            r"hold a quaternion, whose increments are no",
        ),
        (POSE, POSE, {"angles": [6]}, r"angles names dimension 6 of the actions, which per_step leaves as it is"),
        (POSE, POSE, {"measured": {0: 9}}, r"dimension 9 of the proprioception measures dimension 0 .* has 7 and 7"),
        (
            POSE,
            POSE,
            {"deltas": "none", "angles": [3]},
            r"measured and angles say how to make increments, and deltas is n",
        ),
        (("yaw_deg", "x"), ("yaw_deg", "x"), {}, r"needs angles in radians, and 'yaw_deg' is in degrees"),
    ],
)
def test_increments_that_cannot_be_made_are_refused(lerobot, state, action, settings, sentence):
    folder, _ = lerobot(columns={STATE: state, ACTION: action})
    with pytest.raises(ValueError, match=sentence):
        LeRobotReader(str(folder), **{"deltas": "per_step", "size_px": 16, **settings})


def test_angles_too_large_for_radians_are_told(poses):
    for path in poses.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        rows = np.array(table[ACTION].to_pylist())
        rows[:, 5] = 90.0
        pq.write_table(table.set_column(table.column_names.index(ACTION), ACTION, pa.array(rows.tolist())), path)
    reader = LeRobotReader(str(poses), deltas="per_step", size_px=16)
    with pytest.raises(
        ValueError, match=r"takes dimension 5 of the actions for an angle in radians, and it goes up to 90"
    ):
        read(reader)
