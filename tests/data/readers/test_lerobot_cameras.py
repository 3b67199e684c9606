"""Depth is told from colour by every sign the metadata give; names of cameras are such that shards can hold."""

from __future__ import annotations

import json

import pytest

from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.readers.lerobot_cameras import feature_axes, not_colour
from la4vla.schema.embodiment import Embodiment

OPEN = {"gripper_open": 1.0, "gripper_closed": 0.0, "size_px": 32}
HWC = ["height", "width", "channels"]


def told(folder, **features):
    """Change features of ``info.json``; those that are new look like the camera ``front``."""
    path = folder / "meta/info.json"
    info = json.loads(path.read_text())
    model = info["features"]["observation.images.front"]
    for key, change in features.items():
        key = key.replace("__", ".")
        info["features"][key] = {**info["features"].get(key, model), **change}
    path.write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("feature", "fault"),
    [
        ({"shape": [48, 64, 3], "names": HWC}, None),
        ({"shape": [3, 48, 64], "names": None}, None),
        ({"shape": [48, 64, 3], "info": {"video.is_depth_map": False, "video.pix_fmt": "yuv420p"}}, None),
        ({"shape": [48, 64, 3], "info": {"video.is_depth_map": True}}, "is flagged as a depth map"),
        ({"shape": [48, 64, 3], "info": {"is_depth_map": True}}, "is flagged as a depth map"),
        ({"shape": [48, 64, 3], "video_info": {"video.is_depth_map": True}}, "is flagged as a depth map"),
        ({"shape": [48, 64, 1], "names": HWC}, "has one channel"),
        ({"shape": [1, 48, 64], "names": ["channels", "height", "width"]}, "has one channel"),
        ({"shape": [1, 48, 64]}, "has one channel"),
        ({"shape": [48, 64]}, "has one channel"),
        ({"shape": [48, 64, 3], "info": {"video.channels": 1}}, "has one channel"),
        (
            {"shape": [48, 64, 3], "info": {"video.pix_fmt": "gray16le"}},
            "has the pixel format gray16le, of one channel",
        ),
        ({"shape": None, "info": None}, None),
    ],
)
def test_what_records_no_colour_is_told(feature, fault):
    assert not_colour(feature) == fault


@pytest.mark.parametrize(
    ("feature", "axes"),
    [
        ({"shape": [48, 64, 3], "names": HWC}, (48, 3)),
        ({"shape": [3, 48, 64], "names": ["channel", "height", "width"]}, (48, 3)),
        ({"shape": [3, 48, 64], "names": None}, (48, 3)),
        ({"shape": [64, 48, 3], "names": ["width", "height", "channel"]}, (48, 3)),
        ({"shape": [None, 48, 3]}, (None, None)),
    ],
)
def test_the_height_is_found_wherever_channels_stand(feature, axes):
    assert feature_axes(feature) == axes


def test_cameras_of_depth_are_left_out_with_a_word_or_refused_by_name(lerobot, capsys):
    folder, _ = lerobot()
    told(folder, observation__images__wrist={"info": {"video.is_depth_map": True}})
    reader = LeRobotReader(str(folder), **OPEN)
    assert reader.embodiment.cameras == ("front",)
    said = capsys.readouterr().err
    assert "observation.images.wrist" in said and "is left out: it is flagged as a depth map" in said
    with pytest.raises(
        ValueError, match=r"Camera eye records no colour: .*wrist of .* is flagged as a depth map\. Leave"
    ):
        LeRobotReader(str(folder), cameras={"eye": "observation.images.wrist"}, **OPEN)
    body = Embodiment("b", tuple("abcdefg"), tuple("abcdefg"), ("wrist",), 15.0)
    with pytest.raises(ValueError, match="Camera wrist records no colour"):
        LeRobotReader(str(folder), embodiment=body)


def test_a_camera_whose_name_alone_says_depth_is_read_where_the_card_names_it(lerobot, capsys):
    folder, _ = lerobot(cameras=("front", "front_depth", "depth_rgb"))
    reader = LeRobotReader(str(folder), **OPEN)
    assert reader.embodiment.cameras == ("front", "depth_rgb")
    assert "cameras={front_depth: observation.images.front_depth}" in capsys.readouterr().err
    named = LeRobotReader(str(folder), cameras={"front_depth": "observation.images.front_depth"}, **OPEN)
    assert named.embodiment.cameras == ("front_depth",) and "left out" not in capsys.readouterr().err


def test_keys_with_blanks_and_slashes_become_names_and_names_of_a_card_are_checked(lerobot):
    folder, _ = lerobot(cameras=("front",), prefix="observation.images.")
    told(folder, **{"observation.images.cam high/left": {}, "observation.images.wrist.rgb": {}})
    assert LeRobotReader(str(folder), **OPEN).embodiment.cameras == ("front", "cam_high_left", "wrist_rgb")
    for name in ("cam high", "cam/high", "cam.high", ""):
        with pytest.raises(
            ValueError, match=r"no name that shards can give to a camera: use letters, digits and _-\+=@"
        ):
            LeRobotReader(str(folder), cameras={name: "observation.images.front"}, **OPEN)
    told(folder, **{"observation.images.cam_high left": {}})
    with pytest.raises(ValueError, match="would both be called cam_high_left: name them in the card"):
        LeRobotReader(str(folder), **OPEN)
