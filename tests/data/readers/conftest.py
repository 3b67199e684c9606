"""Tiny LeRobot and HDF5 data sets in the layouts of the packages that write them.

The LeRobot layout was compared with what lerobot 0.3.3 (v2.1) and 0.4.4 (v3.0) write: the same files (but for the
episodes' statistics in v2.1), keys of info.json, columns and types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.data.video_file import VideoFile

HEIGHT, WIDTH, BITS = 32, 64, 4
TASKS = ("Press the button", "Öffne die Schublade", "Press the button")
POSE = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
COLUMNS = {"observation.state": POSE, "action": (*(f"d{name}" for name in POSE[:6]), "gripper")}


@dataclass
class Demo:
    """What was written of one episode."""

    task: str
    columns: dict[str, np.ndarray]
    pictures: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def picture(step: int, camera: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """``step`` in four bright or dark blocks, on a background that tells the camera."""
    image = np.full((height, width, 3), (60, 90 + 60 * camera, 120), dtype=np.uint8)
    for bit in range(BITS):
        left = width * bit // BITS
        image[height // 4 : -height // 4, left + 2 : left + width // BITS - 2] = 230 if step >> bit & 1 else 15
    return image


def step_of(image: np.ndarray) -> int:
    """The step that a picture shows, whatever its size."""
    height, width = image.shape[:2]
    middle = image[height // 2, [width * (2 * bit + 1) // (2 * BITS) for bit in range(BITS)]].mean(axis=1)
    return int(sum((value > 120) << bit for bit, value in enumerate(middle)))


def demos(lengths: Sequence[int], columns: Mapping[str, Sequence[str]], cameras: Sequence[str], tasks=TASKS):
    rng = np.random.default_rng(0)
    made = []
    for length, task in zip(lengths, tasks, strict=False):
        numbers = {key: rng.uniform(-1, 1, (length, len(names))).astype(np.float32) for key, names in columns.items()}
        shown = {c: np.stack([picture(t, i) for t in range(length)]) for i, c in enumerate(cameras)}
        made.append(Demo(task, numbers, shown))
    return made


def write_lerobot(
    folder: Path,
    version: str = "v2.1",
    lengths: Sequence[int] = (7, 5, 9),
    columns: Mapping[str, Sequence[str]] = COLUMNS,
    cameras: Sequence[str] = ("front", "wrist"),
    fps: int = 15,
    prefix: str = "observation.images.",
) -> list[Demo]:
    """A data set with one episode per length; returns what is in it."""
    made = demos(lengths, columns, cameras)
    tasks = {task: i for i, task in enumerate(dict.fromkeys(demo.task for demo in made))}
    (folder / "meta").mkdir(parents=True)
    keys = {camera: prefix + camera for camera in cameras}
    rows = [table(demo, index, sum(map(len, made[:index])), tasks, fps) for index, demo in enumerate(made)]
    write = write_version_2 if version == "v2.1" else write_version_3
    paths = write(folder, made, rows, tasks, keys, fps)
    (folder / "meta/info.json").write_text(json.dumps(info(version, made, tasks, columns, keys, fps) | paths, indent=4))
    return made


def table(demo: Demo, index: int, start: int, tasks: Mapping[str, int], fps: int) -> pa.Table:
    steps = np.arange(len(demo))
    numbers = {
        key: pa.array(values.ravel())
        if values.shape[1] == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        for key, values in demo.columns.items()
    }
    counters = {
        "timestamp": (steps / fps).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full_like(steps, index),
        "index": start + steps,
        "task_index": np.full_like(steps, tasks[demo.task]),
    }
    return pa.table({**numbers, **counters})


def write_version_2(folder, made, rows, tasks, keys, fps) -> dict:
    for index, (demo, table) in enumerate(zip(made, rows, strict=True)):
        save(table, folder / f"data/chunk-000/episode_{index:06d}.parquet")
        for camera, key in keys.items():
            film(folder / f"videos/chunk-000/{key}/episode_{index:06d}.mp4", demo.pictures[camera], fps)
    lines(folder / "meta/tasks.jsonl", [{"task_index": i, "task": task} for task, i in tasks.items()])
    about = [{"episode_index": i, "tasks": [demo.task], "length": len(demo)} for i, demo in enumerate(made)]
    lines(folder / "meta/episodes.jsonl", about)
    return {
        "total_chunks": 1,
        "total_videos": len(made) * len(keys),
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }


def write_version_3(folder, made, rows, tasks, keys, fps) -> dict:
    """The first two episodes share their files, the others have some of their own."""
    file_of = [max(0, i - 1) for i in range(len(made))]
    about = []
    for file in sorted(set(file_of)):
        inside = [i for i, f in enumerate(file_of) if f == file]
        save(pa.concat_tables([rows[i] for i in inside]), folder / f"data/chunk-000/file-{file:03d}.parquet")
        for camera, key in keys.items():
            film(
                folder / f"videos/{key}/chunk-000/file-{file:03d}.mp4",
                np.concatenate([made[i].pictures[camera] for i in inside]),
                fps,
            )
    for index, demo in enumerate(made):
        before = sum(len(made[i]) for i in range(index) if file_of[i] == file_of[index])
        start = sum(map(len, made[:index]))
        entry = {"episode_index": index, "tasks": [demo.task], "length": len(demo)}
        entry |= {"data/chunk_index": 0, "data/file_index": file_of[index]}
        entry |= {"dataset_from_index": start, "dataset_to_index": start + len(demo)}
        for key in keys.values():
            entry |= {f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": file_of[index]}
            entry |= {f"videos/{key}/from_timestamp": before / fps}
            entry |= {f"videos/{key}/to_timestamp": (before + len(demo)) / fps}
        about.append(entry | {"stats/action/min": [0.0], "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
    save(pa.Table.from_pylist(about), folder / "meta/episodes/chunk-000/file-000.parquet")
    names = pa.table(
        {"task_index": list(tasks.values()), "__index_level_0__": pa.array(list(tasks), pa.large_string())}
    )
    save(names, folder / "meta/tasks.parquet")
    stats = {"observation.state": {"min": [0.0] * 7, "max": [1.0] * 7}}
    (folder / "meta/stats.json").write_text(json.dumps(stats))
    return {
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
    }


def info(version, made, tasks, columns, keys, fps) -> dict:
    numbers = {key: {"dtype": "float32", "shape": [len(names)], "names": list(names)} for key, names in columns.items()}
    axes = ["height", "width", "channels"]
    videos = {key: {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": axes} for key in keys.values()}
    counters = dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")
    counters = {
        key: {"dtype": dtype, "shape": [1], "names": None}
        for key, dtype in {"timestamp": "float32", **counters}.items()
    }
    return {
        "codebase_version": version,
        "robot_type": "tiny_arm",
        "total_episodes": len(made),
        "total_frames": sum(map(len, made)),
        "total_tasks": len(tasks),
        "chunks_size": 1000,
        "fps": fps,
        "splits": {"train": f"0:{len(made)}"},
        "features": {**numbers, **videos, **counters},
    }


def save(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def film(path: Path, pictures: np.ndarray, fps: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    video = VideoFile(path, fps, *pictures.shape[1:3])
    for image in pictures:
        video.append(image)
    video.close()


def lines(path: Path, rows: Sequence[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def lerobot(tmp_path) -> Callable[..., tuple[Path, list[Demo]]]:
    """``lerobot("v3.0", ...)`` writes a data set and returns its folder and what is in it."""

    def write(version: str = "v2.1", **settings) -> tuple[Path, list[Demo]]:
        folder = tmp_path / f"tiny_{version.replace('.', '_')}"
        return folder, write_lerobot(folder, version, **settings)

    return write


@pytest.fixture
def shown() -> Callable[[np.ndarray], int]:
    """The step that a picture shows."""
    return step_of


@pytest.fixture
def refilm() -> Callable[..., None]:
    """``refilm(path, steps, fps)`` writes another video in the place of one."""
    return lambda path, steps, fps: film(path, np.stack([picture(t, 0) for t in range(steps)]), fps)


@pytest.fixture
def drawn() -> Callable[..., np.ndarray]:
    """``drawn(step, camera, height, width)``: a picture that shows a step."""
    return picture
