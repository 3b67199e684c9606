"""Cameras that a LeRobot data set keeps as pictures in its parquet files, as LIBERO's conversions do."""

from __future__ import annotations

import io
import json
import os
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


def stored(image: Image.Image, form: str = "png") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
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


def depth(mode: str) -> Image.Image:
    """Millimetres, or a gray picture."""
    if mode == "I;16":
        return Image.fromarray(np.full((32, 64), 3000, dtype=np.uint16))
    return Image.new(mode, (64, 32), 90)


GLASS = Image.new("RGBA", (64, 32), (10, 200, 30, 128))
PAINT = Image.new("RGB", (64, 32), (10, 200, 30))


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            stored(depth("I;16")),
            "(not colour): camera wrist: the picture of step 2 has one channel (Pillow's mode I;16)",
        ),
        (stored(depth("L")), "(not colour): camera wrist: the picture of step 2 has one channel (Pillow's mode L)"),
        (stored(depth("L"), "jpeg"), "has one channel (Pillow's mode L), as depth has; expected colour, 8 bits"),
        (stored(Image.new("LA", (64, 32))), "has one channel (Pillow's mode LA)"),
        (stored(GLASS), "step 2 can be seen through (its alpha goes down to 128); lay it on a background first."),
        (
            stored(PAINT.resize((32, 32))),
            "(uneven pictures): camera wrist: the picture of step 2 has 32x32 px, the fir",
        ),
        (stored(Image.merge("RGBA", (*PAINT.split(), Image.new("L", (64, 32), 255)))), None),
        (stored(PAINT.quantize(4)), None),
        (stored(PAINT.convert("CMYK"), "jpeg"), None),
    ],
)
def test_what_is_no_colour_leaves_one_episode_out_and_other_encodings_are_read(pictures, file, sentence):
    folder, _ = pictures("v2.1")
    path = folder / "data/chunk-000/episode_000001.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("observation.images.wrist")
    files = [row["bytes"] for row in table["observation.images.wrist"].to_pylist()]
    files[2] = file
    changed = pa.array([{"bytes": content, "path": ""} for content in files])
    pq.write_table(table.set_column(at, "observation.images.wrist", changed), path)
    reader = LeRobotReader(str(folder), **OPEN)
    clips = [reader.read(key, True, Counter()).frames["wrist"] for key in reader.keys()]
    assert len(list(clips[0])) == 7 and len(list(clips[2])) == 9
    if sentence is None:
        np.testing.assert_allclose(list(clips[1])[2][5, 5], (10, 200, 30), atol=4)
    else:
        with pytest.raises(UnusableEpisode) as left_out:
            list(clips[1])
        assert sentence in str(left_out.value)


@pytest.mark.parametrize("told", ["path", "name", "text", "nothing", "no column", "beside the table"])
def test_pictures_beside_the_parquet_are_read(pictures, shown, told):
    folder, demos = pictures("v2.1")
    for camera in ("front", "wrist"):
        column = f"observation.images.{camera}"
        for index, demo in enumerate(demos):
            table = pq.read_table(path := folder / f"data/chunk-000/episode_{index:06d}.parquet")
            inside = "data/chunk-000/png" if told == "beside the table" else "images"
            place = folder / inside / column / f"episode_{index:06d}"
            place.mkdir(parents=True)
            files = [place / f"frame_{step:06d}.png" for step in range(len(demo))]
            for step, file in enumerate(files):
                file.write_bytes(png(demo.pictures[camera][step]))
            rows = {
                "path": [{"bytes": None, "path": str(file.relative_to(folder))} for file in files],
                "name": [{"bytes": None, "path": file.name} for file in files],
                "text": [str(file.relative_to(folder)) for file in files],
                "nothing": [{"bytes": None, "path": None}] * len(files),
                "beside the table": [{"bytes": None, "path": os.path.relpath(file, path.parent)} for file in files],
            }.get(told)
            at = table.column_names.index(column)
            kind = pa.string() if told == "text" else pa.struct({"bytes": pa.binary(), "path": pa.string()})
            pq.write_table(
                table.remove_column(at) if rows is None else table.set_column(at, column, pa.array(rows, kind)), path
            )
    reader = LeRobotReader(str(folder), frame_every=2, **OPEN)
    for key, demo in zip(reader.keys(), demos, strict=True):
        for camera, clip in reader.read(key, True, Counter()).frames.items():
            assert [shown(p) for p in clip] == list(range(0, len(demo), 2))
            np.testing.assert_array_equal(clip[0][1, 1], demo.pictures[camera][0][1, 1])
    before = [one.digest for one in reader.fingerprints(reader.keys(), True)]
    next(folder.rglob("*wrist/episode_000001/frame_000003.png")).unlink()
    after = [one.digest for one in reader.fingerprints(reader.keys(), True)]
    assert before[1] != after[1] and (before[0], before[2]) == (after[0], after[2])
    with pytest.raises(UnusableEpisode, match=r"\(too few frames\): camera wrist: there are 4 pictures for 5 states"):
        reader.read(reader.keys()[1], True, Counter())


def test_version_3_names_its_files_with_hyphens(pictures, shown):
    folder, demos = pictures("v3.0")
    for path in folder.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns([f"observation.images.{camera}" for camera in ("front", "wrist")]), path)
    for camera in ("front", "wrist"):
        for index, demo in enumerate(demos):
            place = folder / f"images/observation.images.{camera}/episode-{index:06d}"
            place.mkdir(parents=True)
            for step in range(len(demo)):
                (place / f"frame-{step:06d}.jpg").write_bytes(
                    stored(Image.fromarray(demo.pictures[camera][step]), "jpeg")
                )
    reader = LeRobotReader(str(folder), **OPEN)
    for key, demo in zip(reader.keys(), demos, strict=True):
        assert [shown(p) for p in reader.read(key, True, Counter()).frames["front"]] == list(range(len(demo)))
