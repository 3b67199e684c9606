"""A data set that runs at another rate than it says is told once; one episode of another rate is left out alone."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.unusable import UnusableEpisode

SETTINGS = {"gripper_open": 1.0, "gripper_closed": 0.0, "size_px": 16}


def say(folder, fps):
    path = folder / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fps": fps}))


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_wrong_rate_names_both_rates_once_for_the_set(lerobot, version):
    folder, _ = lerobot(version)
    say(folder, 30)
    with pytest.raises(
        ValueError, match=r"info\.json says 30 Hz, and the time stamps of its episodes run at 15 Hz: corr"
    ) as told:
        LeRobotReader(str(folder), **SETTINGS)
    assert not isinstance(told.value, UnusableEpisode)


def test_videos_of_another_rate_name_both_rates_once_for_the_set(lerobot, refilm):
    folder, demos = lerobot()
    videos = sorted((folder / "videos/chunk-000/observation.images.wrist").iterdir())
    for video, demo in zip(videos, demos, strict=True):
        refilm(video, 2 * len(demo), 30)
    reader = LeRobotReader(str(folder), **SETTINGS)
    with pytest.raises(ValueError, match=r"says 15 Hz, and the videos of camera wrist run at 30 Hz") as told:
        reader.read(reader.keys()[0], True, Counter())
    assert not isinstance(told.value, UnusableEpisode)
    refilm(videos[1], len(demos[1]), 15)
    with pytest.raises(UnusableEpisode, match=r"\(wrong fps\): camera wrist: the video runs at 30 Hz, meta says 15 Hz"):
        reader.read(reader.keys()[0], True, Counter())
    assert len(reader.read(reader.keys()[0], False, Counter())) == 7, "without frames no video is opened"


@pytest.mark.parametrize("change", ["one fits", "uneven", "later", "no data"])
def test_a_set_is_not_refused_for_what_single_episodes_have(lerobot, change):
    folder, demos = lerobot()
    rng = np.random.default_rng(1)
    for index, demo in enumerate(demos):
        path = folder / f"data/chunk-000/episode_{index:06d}.parquet"
        if change == "no data":
            path.unlink()
            continue
        if change == "one fits" and index == 1:
            continue
        steps = np.arange(len(demo))
        uneven = np.cumsum(rng.uniform(0.2, 2, len(demo)))
        times = {"one fits": steps / 30, "later": 9 + steps / 15}.get(change, uneven)
        table = pq.read_table(path)
        pq.write_table(table.set_column(table.column_names.index("timestamp"), "timestamp", pa.array(times)), path)
    reader = LeRobotReader(str(folder), **SETTINGS)
    with pytest.raises(UnusableEpisode):
        reader.read(reader.keys()[0], False, Counter())
