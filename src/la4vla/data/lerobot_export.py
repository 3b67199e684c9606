"""Demonstrations as a LeRobot data set of version 3.0: parquet, mp4 and metadata, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from la4vla.data.lerobot_layout import CHUNK_FILES, DATA_PATH, VIDEO_PATH, info_of, tasks_table
from la4vla.data.lerobot_statistics import Stats, column_stats, merged, picture_stats, plain, sampled_steps
from la4vla.data.video_file import VideoFile
from la4vla.schema.episode import Episode

BATCH = 100


def export_lerobot(
    folder: str | Path, episodes: Iterable[Episode], hold_frames: bool = False, data_mb: int = 100, video_mb: int = 200
) -> Path:
    """Write ``episodes``, one after the other, to the new folder ``folder``.

    The columns are ``observation.state``, ``action`` and ``observation.images.<camera>``. Units, frame and gripper of
    the embodiment, for which the format has no place, go to ``meta/la4vla.json``, from which our reader takes them.
    The folder takes its name once everything is on disk.

    Args:
        folder: Must not exist.
        episodes: Of one embodiment and the same cameras.
        hold_frames: The format wants a picture at every step. Where an episode has fewer, show the last one again;
            otherwise such an episode is refused.
        data_mb: A parquet file is closed once it is this large.
        video_mb: Likewise a video.

    Raises:
        ValueError: If ``folder`` exists, there is no episode, or one does not fit the others.
        OSError: If the disk is full; nothing is left then.
    """
    folder = Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists: name a folder that does not, nothing is ever overwritten.")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # left behind by an export that was killed
    try:
        writer: _Writer | None = None
        for episode in episodes:
            writer = writer or _Writer(part, episode, hold_frames, data_mb, video_mb)
            writer.add(episode)
        if writer is None:
            raise ValueError(f"There is no episode to export to {folder}.")
        writer.finish()
        for path in sorted(part.rglob("*")):
            _sync(path)
        os.replace(part, folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return folder


class _Writer:
    """The files of one data set under construction, laid out after the example of its first episode."""

    def __init__(self, root: Path, first: Episode, hold_frames: bool, data_mb: int, video_mb: int) -> None:
        self.root, self.body, self.hold_frames = root, first.embodiment, hold_frames
        self.limits_mb = data_mb, video_mb
        self.cameras = {name: f"observation.images.{name}" for name in first.frames}
        self.shapes = {name: np.shape(frames[0]) for name, frames in first.frames.items()}
        self.tasks: dict[str, int] = {}
        self.steps = self.count = 0
        self.data_place, self.video_place = (0, 0), (0, 0)
        self._data: pq.ParquetWriter | None = None
        self._videos: dict[str, VideoFile] = {}
        self._episodes: pq.ParquetWriter | None = None
        self._rows: list[dict[str, Any]] = []
        self._stats: dict[str, Stats] = {}

    def add(self, episode: Episode) -> None:
        self._check(episode)
        task = self.tasks.setdefault(episode.instruction, len(self.tasks))
        columns = self._columns(episode, task)
        self._add_data(columns)
        videos, pictures = self._add_videos(episode) if self.cameras else ({}, {})
        stats = {**{name: column_stats(values) for name, values in columns.items()}, **pictures}
        self._stats = merged([self._stats, stats]) if self._stats else stats
        self._rows.append(
            {
                "episode_index": self.count,
                "tasks": [episode.instruction],
                "length": len(episode),
                "data/chunk_index": self.data_place[0],
                "data/file_index": self.data_place[1],
                "dataset_from_index": self.steps,
                "dataset_to_index": self.steps + len(episode),
                **videos,
                **{f"stats/{key}/{name}": v for key, part in plain(stats).items() for name, v in part.items()},
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self.count, self.steps = self.count + 1, self.steps + len(episode)
        if len(self._rows) == BATCH:
            self._flush()

    def finish(self) -> None:
        for video in self._videos.values():
            video.close()
        self._flush()
        for writer in (self._data, self._episodes):
            if writer is not None:
                writer.close()
        meta = self.root / "meta"
        pq.write_table(tasks_table(self.tasks), meta / "tasks.parquet")
        own = {"embodiment": self.body.to_json()}
        videos = {key: self.shapes[camera] for camera, key in self.cameras.items()}
        info = info_of(self.body, videos, self.count, self.steps, len(self.tasks), *self.limits_mb)
        for name, content in (("info", info), ("stats", plain(self._stats)), ("la4vla", own)):
            (meta / f"{name}.json").write_text(json.dumps(content, indent=4, ensure_ascii=False), encoding="utf-8")

    def _check(self, episode: Episode) -> None:
        if episode.embodiment != self.body:
            raise ValueError(
                f"Episode {episode.key} is of embodiment {episode.embodiment.name}, those before it of "
                f"{self.body.name}; a LeRobot data set holds one."
            )
        if set(episode.frames) != set(self.cameras) or not len(episode):
            raise ValueError(
                f"Episode {episode.key} has {len(episode)} steps and cameras {sorted(episode.frames)}; every episode "
                f"must have steps, and the cameras {sorted(self.cameras)}."
            )
        if episode.frames and len(episode.frame_steps) < len(episode) and not self.hold_frames:
            raise ValueError(
                f"Episode {episode.key} has {len(episode.frame_steps)} frames for {len(episode)} steps, LeRobot wants "
                "one at each: read with frame_every=1, or show the last one again with hold_frames."
            )

    def _columns(self, episode: Episode, task: int) -> dict[str, np.ndarray]:
        steps = np.arange(len(episode))
        return {
            "observation.state": episode.proprioception.astype(np.float32),
            "action": episode.actions.astype(np.float32),
            "timestamp": (steps / self.body.control_hz).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full_like(steps, self.count),
            "index": self.steps + steps,
            "task_index": np.full_like(steps, task),
        }

    def _add_data(self, columns: dict[str, np.ndarray]) -> None:
        table = pa.table({name: _arrow(values) for name, values in columns.items()})
        path = self.root / DATA_PATH.format(chunk_index=self.data_place[0], file_index=self.data_place[1])
        if self._data is not None and path.stat().st_size > self.limits_mb[0] * 1e6:
            self._data.close()
            self._data, self.data_place = None, _next(self.data_place)
            path = self.root / DATA_PATH.format(chunk_index=self.data_place[0], file_index=self.data_place[1])
        if self._data is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = pq.ParquetWriter(path, table.schema)
        self._data.write_table(table)

    def _add_videos(self, episode: Episode) -> tuple[dict[str, Any], dict[str, Stats]]:
        """Append the episode's frames to its cameras' videos; where they lie, and their statistics."""
        if any(video.size_bytes > self.limits_mb[1] * 1e6 for video in self._videos.values()):
            for video in self._videos.values():
                video.close()
            self._videos, self.video_place = {}, _next(self.video_place)
        places: dict[str, Any] = {}
        stats: dict[str, Stats] = {}
        chosen = sampled_steps(len(episode))
        for camera, key in self.cameras.items():
            video = self._videos.get(camera) or self._new_video(camera, key)
            begin, samples = video.pictures, []
            for step, picture in enumerate(_pictures(episode, camera)):
                video.append(picture)
                if step in chosen:
                    samples.append(picture)
            places |= {
                f"videos/{key}/chunk_index": self.video_place[0],
                f"videos/{key}/file_index": self.video_place[1],
                f"videos/{key}/from_timestamp": begin / self.body.control_hz,
                f"videos/{key}/to_timestamp": video.pictures / self.body.control_hz,
            }
            stats[key] = picture_stats(samples)
        return places, stats

    def _new_video(self, camera: str, key: str) -> VideoFile:
        chunk, file = self.video_place
        path = self.root / VIDEO_PATH.format(video_key=key, chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = self.shapes[camera][:2]
        self._videos[camera] = VideoFile(path, self.body.control_hz, height, width)
        return self._videos[camera]

    def _flush(self) -> None:
        if not self._rows:
            return
        schema = None if self._episodes is None else self._episodes.schema
        table = pa.Table.from_pylist(self._rows, schema=schema)
        if self._episodes is None:
            path = self.root / "meta/episodes/chunk-000/file-000.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._episodes = pq.ParquetWriter(path, table.schema)
        self._episodes.write_table(table)
        self._rows.clear()


def _pictures(episode: Episode, camera: str) -> Iterator[np.ndarray]:
    """One picture a step; a step without one shows the last, and those before the first show the first."""
    stops = [*episode.frame_steps[1:].tolist(), len(episode)]
    begin = 0
    for picture, stop in zip(episode.frames[camera], stops, strict=True):
        for _ in range(begin, stop):
            yield picture
        begin = stop


def _arrow(values: np.ndarray) -> pa.Array:
    """A column; rows of one number are numbers, as LeRobot stores features of shape 1."""
    if values.ndim == 1 or values.shape[1] == 1:
        return pa.array(values.ravel())
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _next(place: tuple[int, int]) -> tuple[int, int]:
    chunk, file = place
    return (chunk + 1, 0) if file == CHUNK_FILES - 1 else (chunk, file + 1)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
