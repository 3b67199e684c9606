"""The words of a LeRobot data set of version 3.0: ``info.json`` and the table of tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from la4vla.schema.embodiment import Embodiment

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CHUNK_FILES = 1000
COUNTERS = {"timestamp": "float32", **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")}


def info_of(
    body: Embodiment, videos: Mapping[str, tuple[int, ...]], episodes: int, steps: int, tasks: int,
    data_mb: int, video_mb: int,
) -> dict[str, Any]:  # fmt: skip
    """``meta/info.json`` of so many episodes, steps and tasks; ``videos`` holds shapes of pictures by video key."""
    return {
        "codebase_version": "v3.0",
        "robot_type": body.name,
        "total_episodes": episodes,
        "total_frames": steps,
        "total_tasks": tasks,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": data_mb,
        "video_files_size_in_mb": video_mb,
        "fps": _whole(body.control_hz),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if videos else None,
        "features": {
            "observation.state": _numbers(body.proprioception),
            "action": _numbers(body.actions),
            **{key: _video(shape, body.control_hz) for key, shape in videos.items()},
            **{name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in COUNTERS.items()},
        },
    }


def tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """``meta/tasks.parquet``, the pandas table that LeRobot loads, whose index is the instruction."""
    text = {"pandas_type": "unicode", "numpy_type": "object"}
    number = {"pandas_type": "int64", "numpy_type": "int64"}
    pandas = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [{"name": None, "field_name": None, **text, "metadata": {"encoding": "UTF-8"}}],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number, "metadata": None},
            {"name": None, "field_name": "__index_level_0__", **text, "metadata": None},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.3.3",
    }
    columns = {
        "task_index": pa.array(list(tasks.values()), pa.int64()),
        "__index_level_0__": pa.array(list(tasks), pa.large_string()),
    }
    return pa.table(columns).replace_schema_metadata({"pandas": json.dumps(pandas)})


def _numbers(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


def _video(shape: tuple[int, ...], fps: float) -> dict[str, Any]:
    info = {
        "video.height": shape[0],
        "video.width": shape[1],
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": _whole(fps),
        "video.channels": 3,
        "has_audio": False,
    }
    return {"dtype": "video", "shape": list(shape), "names": ["height", "width", "channels"], "info": info}


def _whole(rate: float) -> float:
    """``rate`` as an integer where it is one, as LeRobot writes it."""
    return int(rate) if float(rate).is_integer() else rate
