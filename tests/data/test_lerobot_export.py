"""An exported data set reads back as it was, and is whole or absent."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from la4vla.data.lerobot_export import export_lerobot
from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.shard_episodes import shard_episodes
from la4vla.data.shards import Shards
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

BODY = Embodiment(
    "two_eyes", ("x_m", "y_m", "z_m", "opening"), ("dx_m", "dy_m", "dz_m", "effort"), ("left", "right"), 12.5, gripper=3
)


def episode(number: int, steps: int, every: int = 1, body: Embodiment = BODY, task: str = "Öffne die Tür") -> Episode:
    rng = np.random.default_rng(number)
    shown = np.arange(0, steps, every)
    grey = 30 + 10 * shown[:, None, None, None] + 5 * number
    frames = {camera: np.broadcast_to(grey, (len(shown), 32, 32, 3)).astype(np.uint8) for camera in body.cameras}
    return Episode(
        key=f"e{number}",
        task="task",
        instruction=task,
        embodiment=body,
        proprioception=rng.normal(size=(steps, len(body.proprioception))).astype(np.float32),
        actions=rng.normal(size=(steps, len(body.actions))).astype(np.float32),
        frames=frames,
        frame_steps=shown if frames else np.empty(0, dtype=np.int64),
    )


@pytest.mark.parametrize("limit_mb", [100, 0])
def test_what_is_exported_reads_back(tmp_path, limit_mb):
    made = [episode(0, 9), episode(1, 4, task="Push"), episode(2, 7)]
    folder = export_lerobot(tmp_path / "out", made, data_mb=limit_mb, video_mb=limit_mb)
    assert len(list(folder.rglob("*.mp4"))) == (2 if limit_mb else 6)
    reader = LeRobotReader(str(folder), size_px=32)
    assert reader.embodiment == BODY and [p.name for p in tmp_path.iterdir()] == ["out"]
    for key, before in zip(reader.keys(), made, strict=True):
        after = reader.read(key, True, Counter())
        np.testing.assert_array_equal(after.actions, before.actions)
        np.testing.assert_array_equal(after.proprioception, before.proprioception)
        np.testing.assert_array_equal(after.frame_steps, before.frame_steps)
        assert after.instruction == before.instruction
        for camera in BODY.cameras:
            difference = np.stack(list(after.frames[camera])).astype(int) - before.frames[camera]
            assert np.abs(difference).max() <= 3


@pytest.mark.parametrize("limit_mb", [100, 0])
@pytest.mark.parametrize("lengths", [(1, 1, 1), (3, 8), (2, 1, 9, 1)])
def test_a_video_may_begin_with_episodes_of_a_few_frames(tmp_path, limit_mb, lengths):
    made = [episode(number, steps) for number, steps in enumerate(lengths)]
    folder = export_lerobot(tmp_path / "out", made, data_mb=limit_mb, video_mb=limit_mb)
    reader = LeRobotReader(str(folder), size_px=32)
    for key, before in zip(reader.keys(), made, strict=True):
        after = reader.read(key, True, Counter())
        np.testing.assert_array_equal(after.actions, before.actions)
        for camera in BODY.cameras:
            seen = np.stack(list(after.frames[camera])).astype(int)
            assert seen.shape == before.frames[camera].shape
            assert np.abs(seen - before.frames[camera]).max() <= 3


def test_the_statistics_are_those_of_all_rows(tmp_path):
    made = [episode(0, 9), episode(1, 4)]
    export_lerobot(tmp_path / "out", made)
    stats = json.loads((tmp_path / "out/meta/stats.json").read_text())
    rows = np.concatenate([e.actions for e in made]).astype(np.float64)
    for name, value in (("min", rows.min(0)), ("max", rows.max(0)), ("mean", rows.mean(0)), ("std", rows.std(0))):
        np.testing.assert_allclose(stats["action"][name], value, atol=1e-6)
    assert stats["action"]["count"] == [13]
    greys = np.concatenate([e.frames["left"].reshape(len(e), -1)[:, :3] for e in made]) / 255
    np.testing.assert_allclose(np.ravel(stats["observation.images.left"]["mean"]), greys.mean(0), atol=1e-3)
    assert np.shape(stats["observation.images.left"]["std"]) == (3, 1, 1)


def test_a_shard_set_becomes_a_data_set(tmp_path, tiny_shards, two_eyed_arm):
    shards = Shards(tiny_shards(tmp_path / "vla", embodiment=two_eyed_arm, frames=True, frame_every=1))
    folder = export_lerobot(tmp_path / "out", shard_episodes(shards))
    reader = LeRobotReader(str(folder), embodiment=two_eyed_arm, size_px=16)
    assert len(reader.keys()) == len(shards)
    for key in reader.keys():
        after, before = reader.read(key, True, Counter()), shards.record(key[1])
        np.testing.assert_array_equal(after.actions, before.actions)
        assert after.instruction == before.instruction and len(after.frames["wrist"]) == len(before)


def test_a_set_without_frames_becomes_one_without_videos(tmp_path, tiny_shards):
    folder = export_lerobot(tmp_path / "out", shard_episodes(Shards(tiny_shards(tmp_path / "la"))))
    reader = LeRobotReader(str(folder), cameras={}, embodiment=None)
    assert not list(folder.rglob("*.mp4")) and len(reader.keys()) == 6


def test_missing_frames_are_held_on_request(tmp_path):
    with pytest.raises(ValueError, match="has 3 frames for 7 steps, LeRobot wants one at each"):
        export_lerobot(tmp_path / "out", [episode(0, 7, every=3)])
    reader = LeRobotReader(
        str(export_lerobot(tmp_path / "out", [episode(0, 7, every=3)], hold_frames=True)), size_px=32
    )
    clip = reader.read(reader.keys()[0], True, Counter()).frames["left"]
    assert [round((float(picture.mean()) - 30) / 10) for picture in clip] == [0, 0, 0, 3, 3, 3, 6]


def test_nothing_is_left_of_a_failed_export(tmp_path):
    other = episode(1, 4, body=Embodiment("other", ("a",), ("b",), ("left", "right"), 12.5))
    with pytest.raises(ValueError, match="is of embodiment other, those before it of two_eyes"):
        export_lerobot(tmp_path / "out", [episode(0, 5), other])
    with pytest.raises(ValueError, match="no episode to export"):
        export_lerobot(tmp_path / "out", [])
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="nothing is ever overwritten"):
        export_lerobot(tmp_path / "out", [episode(0, 5)])
