"""A derived body says what names tell and no more; facts that a card states go before it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.construction.card import read_card
from la4vla.data.readers.dimension_names import dimension
from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.readers.stated_facts import StatedFacts

STATE, ACTION = "observation.state", "action"
POSE = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")


@pytest.mark.parametrize(
    ("name", "role", "delta"),
    [
        ("x", "x", False),
        ("eef_x_m", "x", False),
        ("ee.z", "z", False),
        ("dx", "x", True),
        ("dx_m", "x", True),
        ("delta_y", "y", True),
        ("rel_z", "z", True),
        ("droll_rad", "roll", True),
        ("yaw", "yaw", False),
        ("qw", "qw", False),
        ("quat_x", "qx", False),
        ("gripper.pos", "gripper", False),
        ("robot0_gripper_qpos", "gripper", False),
        ("gripper_x", "x", False),
        ("gripper_force", None, False),
        ("x_vel", None, False),
        ("goal_x", None, False),
        ("rot_x", None, False),
        ("ee.wx", None, False),
        ("shoulder_pan.pos", None, False),
        ("joint_0", None, False),
        ("x_y", None, False),
        ("depth", None, False),
    ],
)
def test_a_name_tells_what_it_says(name, role, delta):
    assert dimension(name)[:2] == (role, delta)


def body(lerobot, state, action, version="v2.1", **settings):
    folder, _ = lerobot(version, columns={STATE: state, ACTION: action})
    return LeRobotReader(str(folder), size_px=16, **settings).embodiment


def test_a_quaternion_and_its_order_are_told(lerobot):
    made = body(lerobot, ("x", "y", "z", "qw", "qx", "qy", "qz"), ("dx", "dy", "dz", "dqw", "dqx", "dqy", "dqz"))
    assert made.orientation == (4, 5, 6, 3) and made.orientation_form == "quaternion_xyzw"
    assert made.gripper is None and made.gripper_action is None


def test_joints_are_no_hand_and_degrees_no_radians(lerobot, capsys):
    made = body(lerobot, ("shoulder.pos", "elbow.pos", "gripper.pos"), ("shoulder.pos", "elbow.pos", "gripper.pos"))
    assert made.position is made.translation is made.orientation is made.action_form is None
    assert (made.gripper, made.gripper_action, made.gripper_open) == (2, 2, None)
    said = capsys.readouterr().err
    for fact in ("position", "translation", "action_form", "gripper_open", "gripper_action_closed", "up"):
        assert f"{fact}, " in said or f"{fact} are not" in said
    assert "reader.init_args.facts.up=[0,0,1]" in said and said.count("\n") == 1


def test_angles_in_degrees_are_no_orientation(lerobot):
    made = body(lerobot, ("x", "y", "z", "roll_deg", "pitch_deg", "yaw_deg"), ("dx", "dy", "dz"))
    assert made.orientation is made.orientation_form is None and made.position == (0, 1, 2)


def test_angles_larger_than_a_turn_are_no_orientation(lerobot):
    folder, _ = lerobot(columns={STATE: POSE, ACTION: ("dx", "dy", "dz")})
    assert LeRobotReader(str(folder), size_px=16).embodiment.orientation == (3, 4, 5)
    for path in folder.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        rows = (np.array(table[STATE].to_pylist()) * 100).tolist()
        pq.write_table(table.set_column(table.column_names.index(STATE), STATE, pa.array(rows)), path)
    (folder / "meta/info.json").touch()
    assert LeRobotReader(str(folder), size_px=16).embodiment.orientation is None


@pytest.mark.parametrize(
    ("names", "low", "high", "form"),
    [
        (("dx", "dy", "dz"), -0.01, 0.01, "increment"),
        (("delta_x", "delta_y", "delta_z"), -0.01, 0.01, "increment"),
        (("x", "y", "z"), 0.1, 0.9, "absolute"),
        (("x", "y", "z"), -0.05, 0.05, None),
        (("x", "y", "z"), -9.0, -8.5, None),
        (("x", "y", "z"), None, None, "absolute"),
        (("x", "dy", "dz"), -0.01, 0.01, None),
    ],
)
def test_increments_and_poses_are_told_apart_by_name_unless_numbers_contradict(lerobot, names, low, high, form):
    folder, _ = lerobot("v3.0", columns={STATE: ("x", "y", "z"), ACTION: names})
    action = {"min": [low] * 3, "max": [high] * 3} if low is not None else {}
    stats = {STATE: {"min": [0.0] * 3, "max": [1.0] * 3}, ACTION: action}
    (folder / "meta/stats.json").write_text(json.dumps(stats))
    made = LeRobotReader(str(folder), size_px=16).embodiment
    assert made.translation == (0, 1, 2) and made.action_form == form


def test_commands_far_from_the_hand_are_no_poses_whatever_they_are_called(lerobot):
    """As LIBERO's: commands from -1 to 1 for a hand that moves in a fifth of that, around the origin."""
    folder, _ = lerobot(lengths=[9] * 3, columns={STATE: ("x", "y", "z"), ACTION: ("x", "y", "z")})
    assert LeRobotReader(str(folder), size_px=16).embodiment.action_form == "absolute"
    for path in folder.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        rows = (np.array(table[STATE].to_pylist()) * 0.2).tolist()
        pq.write_table(table.set_column(table.column_names.index(STATE), STATE, pa.array(rows)), path)
    (folder / "meta/info.json").touch()
    assert LeRobotReader(str(folder), size_px=16).embodiment.action_form is None


def test_what_numbers_are_is_read_from_any_form_of_names(lerobot):
    folder, _ = lerobot(columns={STATE: POSE, ACTION: POSE})
    path = folder / "meta/info.json"

    def told(names):
        info = json.loads(path.read_text())
        info["features"][ACTION]["names"] = names
        path.write_text(json.dumps(info))
        return LeRobotReader(str(folder), size_px=16).embodiment.actions

    assert told({"motors": list(POSE)}) == POSE
    assert told({name: i for i, name in enumerate(POSE)}) == POSE
    assert told({"arm": list(POSE[:6]), "hand": ["gripper"]}) == POSE
    with pytest.raises(
        ValueError, match=r"does not name the 7 dimensions of action \(names: None\).*facts\.actions=\["
    ):
        told(None)


def test_several_grippers_want_a_word(lerobot):
    names = ("x", "y", "z", "left_gripper", "right_gripper")
    with pytest.raises(
        ValueError, match=r"several dimensions of a gripper \(left_gripper, right_gripper\)\. State which"
    ):
        body(lerobot, names, names)


def test_stated_facts_go_before_names_and_the_rest_stays(lerobot):
    facts = StatedFacts(gripper=4, forward=(0, 1, 0), left=(-1, 0, 0), up=(0, 0, 1), action_form="increment")
    names = ("x", "y", "z", "left_gripper", "right_gripper")
    made = body(lerobot, names, names, facts=facts)
    assert made.gripper == 4 and made.position == (0, 1, 2) and made.action_form == "increment"
    assert made.direction("forward").tolist() == [0, 1, 0] and made.name == "tiny_arm"
    assert made.gripper_action is None, "two actions are called gripper"


def test_names_that_are_lacking_can_be_stated(lerobot):
    folder, _ = lerobot(columns={STATE: POSE, ACTION: POSE})
    path = folder / "meta/info.json"
    info = json.loads(path.read_text())
    for column in (STATE, ACTION):
        info["features"][column]["names"] = None
    path.write_text(json.dumps(info))
    facts = StatedFacts(proprioception=POSE, actions=tuple("d" + name for name in POSE))
    made = LeRobotReader(str(folder), size_px=16, facts=facts).embodiment
    assert made.orientation == (3, 4, 5) and made.action_form == "increment" and made.gripper == 6


def test_facts_are_stated_in_a_card_and_on_the_command_line(lerobot, tmp_path):
    folder, _ = lerobot(cameras=("cam high", "left.wrist"))
    words = [
        "shards/lerobot.yaml",
        f"reader.init_args.root={folder}",
        "reader.init_args.facts.forward=[0,1,0]",
        "reader.init_args.facts.left=[-1,0,0]",
        "reader.init_args.facts.gripper_open=0.08",
    ]
    made = read_card(words).card.reader.embodiment
    assert made.cameras == ("cam_high", "left_wrist") and made.control_hz == 15
    assert made.forward == (0, 1, 0) and made.up == (0, 0, 1) and made.gripper_open == 0.08
    assert made.gripper_closed == 0.0 and made.gripper_action_open == 1.0 and made.gripper_action == 6


def test_facts_that_do_not_fit_are_refused(lerobot):
    with pytest.raises(ValueError, match="gripper_open is stated without gripper_closed"):
        body(lerobot, POSE, POSE, facts=StatedFacts(gripper_open=1.0))
    with pytest.raises(ValueError, match="have 7 dimensions, the actions of embodiment tiny_arm 1"):
        LeRobotReader(str(lerobot("v3.0")[0]), facts=StatedFacts(actions=("go",)))


def test_a_file_of_ours_that_holds_no_embodiment_is_told(lerobot):
    folder, _ = lerobot()
    (folder / "meta/la4vla.json").write_text('{"embodiment": {"nmae": "x"}}')
    with pytest.raises(ValueError, match=r"la4vla\.json holds no embodiment \(.*nmae.*\); export the data set again"):
        LeRobotReader(str(folder))


def test_a_newer_minor_version_is_read_with_a_word_and_a_newer_major_is_not(lerobot, capsys):
    folder, _ = lerobot("v3.0")
    path = folder / "meta/info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"codebase_version": "v3.1"}))
    reader = LeRobotReader(str(folder), size_px=16)
    assert [key[1] for key in reader.keys()] == [0, 1, 2]
    assert "is of version v3.1, newer than the v3.0 it is read as." in capsys.readouterr().err
    episodes = folder / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(episodes)
    pq.write_table(table.drop_columns(["data/file_index"]), episodes)
    path.write_text(json.dumps(info | {"codebase_version": "v3.2"}))
    with pytest.raises(ValueError, match="lacks 'data/file_index' somewhere"):
        LeRobotReader(str(folder))
    for version in ("v4.0", "v2.7", "3.1", None):
        path.write_text(json.dumps(info | {"codebase_version": version}))
        with pytest.raises(ValueError, match=r"has codebase_version .*; this reader knows v2\.0, v2\.1, v3\.0"):
            LeRobotReader(str(folder))
