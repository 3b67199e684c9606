"""Cameras that a LeRobot data set keeps as pictures in its parquet files, as LIBERO's conversions do."""

from __future__ import annotations

import io
import json
import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.unusable import UnusableEpisode

OPEN = {"gripper_open": 1.0, "gripper_closed": 0.0, "size_px": 32}


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


@pytest.fixture
def pictures(lerobot):
    """Writes a data set, its videos turned into columns of pictures."""

    def write(version: str):
        folder, demos = lerobot(version)
        for path in folder.glob("data/*/*.parquet"):
            table = pq.read_table(path)
            at = list(zip(table["episode_index"].to_pylist(), table["frame_index"].to_pylist(), strict=True))
            for camera in ("front", "wrist"):
                files = [{"bytes": png(demos[e].pictures[camera][f]), "path": f"{e}-{f}.png"} for e, f in at]
                table = table.append_column(f"observation.images.{camera}", pa.array(files))
            pq.write_table(table, path)
        for path in folder.rglob("*.mp4"):
            path.unlink()
        info = folder / "meta/info.json"
        told = json.loads(info.read_text())
        for feature in told["features"].values():
            feature["dtype"] = feature["dtype"].replace("video", "image")
        info.write_text(json.dumps(told | {"video_path": None}))
        return folder, demos

    return write


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_pictures_are_read_at_their_steps(pictures, shown, version):
    folder, demos = pictures(version)
    reader = pickle.loads(pickle.dumps(LeRobotReader(str(folder), frame_every=2, **OPEN)))
    assert [shot.camera for shot in reader.view.shots] == ["front", "wrist"]
    for key, demo in zip(reader.keys(), demos, strict=True):
        episode = reader.read(key, True, Counter())
        for camera, clip in episode.frames.items():
            assert [shown(p) for p in clip] == list(range(0, len(demo), 2)) == episode.frame_steps.tolist()
            assert shown(clip[-1]) == episode.frame_steps[-1] and len(clip[1:]) == len(clip) - 1
            assert clip[0].shape == (32, 32, 3)
            np.testing.assert_array_equal(clip[0][1, 1], demo.pictures[camera][0][1, 1])


def test_a_picture_that_is_missing_or_broken_leaves_one_episode_out(pictures):
    folder, _ = pictures("v2.1")
    path = folder / "data/chunk-000/episode_000001.parquet"
    whole = pq.read_table(path)

    def told(change) -> str:
        pq.write_table(change(whole.column_names.index("observation.images.wrist")), path)
        reader = LeRobotReader(str(folder), **OPEN)
        with pytest.raises(UnusableEpisode) as left_out:
            list(reader.read(reader.keys()[1], True, Counter()).frames["wrist"])
        assert len(list(reader.read(reader.keys()[2], True, Counter()).frames["wrist"])) == 9
        return str(left_out.value)

    def with_files(files):
        rows = pa.array([{"bytes": file, "path": ""} for file in files])
        return lambda at: whole.set_column(at, "observation.images.wrist", rows)

    good = [row["bytes"] for row in whole["observation.images.wrist"].to_pylist()]
    assert "(missing video): camera wrist: " in told(lambda at: whole.remove_column(at))
    assert "(too few frames): camera wrist: there are 4 pictures for 5 states." in told(with_files([*good[:4], None]))
    assert "(broken video): camera wrist: the picture of step 2" in told(with_files([*good[:2], b"no", *good[3:]]))
    assert "(broken video): camera wrist: the picture of step 2" in told(
        with_files([*good[:2], good[2][:60], *good[3:]])
    )
