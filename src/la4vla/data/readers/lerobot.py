"""Demonstrations of a LeRobot data set, read where they lie: parquet and mp4, version 2.0, 2.1 or 3.0."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from la4vla.data.deltas import Deltas
from la4vla.data.readers.base import Key, Reader
from la4vla.data.readers.fingerprint import Fingerprint
from la4vla.data.readers.lerobot_cameras import colour_cameras
from la4vla.data.readers.lerobot_embodiment import Request, settle, with_stroke
from la4vla.data.readers.lerobot_fingerprint import fingerprints_of
from la4vla.data.readers.lerobot_meta import VERSIONS, EpisodeEntry, LeRobotMeta, read_meta
from la4vla.data.readers.lerobot_pictures import LeRobotPictures
from la4vla.data.readers.lerobot_rate import check_rate, check_video_rate
from la4vla.data.readers.lerobot_rows import episode_rows, instruction_of
from la4vla.data.readers.packages import require
from la4vla.data.readers.stated_facts import StatedFacts
from la4vla.data.unusable import UnusableEpisode
from la4vla.data.video import VideoClip
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode
from la4vla.schema.view import Shot, ViewProfile


class LeRobotReader(Reader):
    """Reads the episode ``(task, number)``; the task is the slug of its instruction, the number counts all episodes.

    Frames are resized to a square, which squashes other shapes as the official code does. Without frames no video is
    opened, so language-action data needs none.

    Args:
        root: Folder of the data set, the one that holds ``meta``; relative to where the command runs.
        proprioception: Columns of the proprioception, joined in this order.
        actions: Columns of the actions, likewise.
        cameras: Names of cameras, all the embodiment's or some, and the video keys they stand for; None takes the
            embodiment's cameras, or all of colour, under the last part of their keys.
        embodiment: Whose numbers come out; None takes ``meta/la4vla.json`` or derives it from the metadata.
        facts: Single facts of the robot that go before what is known from elsewhere.
        gripper_open: Short for ``facts.gripper_open``, for a robot that has a gripper.
        gripper_closed: Likewise for ``facts.gripper_closed``.
        deltas: What becomes of actions that are commanded poses: ``none`` leaves all numbers as they are, ``per_step``
            and ``anchored`` make increments; see :func:`la4vla.data.deltas.as_deltas`.
        measured: For ``deltas``: by dimension of the actions, the dimension of the proprioception that measures it;
            None takes those that are called alike, the gripper's but. The frame stays that of the poses.
        angles: For ``deltas``: dimensions of the actions that are Euler angles in radians; None takes those called
            roll, pitch and yaw.
        size_px: Height and width of the frames.
        frame_every: A frame is kept every so many steps.

    Raises:
        FileNotFoundError: If there is no such data set.
        ValueError: If it is empty, lacks a column or camera, runs at another rate than it or the embodiment says, or
            its robot is not known well enough.
    """

    def __init__(
        self,
        root: str,
        proprioception: Sequence[str] = ("observation.state",),
        actions: Sequence[str] = ("action",),
        cameras: Mapping[str, str] | None = None,
        embodiment: Embodiment | None = None,
        facts: StatedFacts | None = None,
        gripper_open: float | None = None,
        gripper_closed: float | None = None,
        deltas: Deltas = "none",
        measured: Mapping[int, int] | None = None,
        angles: Sequence[int] | None = None,
        size_px: int = 224,
        frame_every: int = 1,
    ) -> None:
        require("Reading LeRobot data sets", "pyarrow", "av")
        if size_px < 1 or frame_every < 1:
            raise ValueError(f"size_px and frame_every must be at least 1, got {size_px} and {frame_every}.")
        if deltas == "none" and (measured is not None or angles is not None):
            raise ValueError("measured and angles say how to make increments, and deltas is none: name the deltas.")
        self.root, self.frame_every, self.size_px = root, frame_every, size_px
        self._felt, self._done = tuple(proprioception), tuple(actions)
        meta = read_meta(root)
        _check_columns(meta, [*self._felt, *self._done])
        videos, told = colour_cameras(meta, cameras, embodiment)
        stated = facts or StatedFacts()
        if gripper_open is not None and gripper_closed is not None and embodiment is None:
            stated = with_stroke(meta, self._felt, stated, gripper_open, gripper_closed)
        request = Request(self._felt, self._done, embodiment, stated, deltas, measured, angles)
        self.embodiment: Embodiment
        self.embodiment, self._increments, derived = settle(meta, request, tuple(videos))
        self._videos = _in_order(videos, self.embodiment)
        check_rate(meta)
        self.view: ViewProfile | None = None
        if self._videos:
            shots = tuple(Shot(camera, size_px) for camera in self._videos)  # as a policy sees them, not as recorded
            self.view = ViewProfile(f"{self.embodiment.name}_{size_px}", shots, size_px)
        if meta.version not in VERSIONS:
            told = [f"{root} is of version {meta.version}, newer than the {VERSIONS[-1]} it is read as.", *told]
        for sentence in [*told, *derived]:
            Console(stderr=True, soft_wrap=True).print(sentence, markup=False, highlight=False)

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[Key]:
        """Keys in the order of the data set; ``tasks`` holds instructions or their slugs.

        Raises:
            ValueError: If no episode has one of ``tasks``.
        """
        named = [(slug_of(entry), entry.index) for entry in read_meta(self.root).episodes.values()]
        if tasks != "all":
            wanted = {slug(task) for task in ([tasks] if isinstance(tasks, str) else tasks)}
            _check_known(wanted, {task for task, _ in named}, self.root)
            named = [key for key in named if key[0] in wanted]
        seen = Counter[str]()
        chosen = []
        for task, index in named:
            seen[task] += 1
            if episodes is None or seen[task] <= episodes:
                chosen.append((task, index))
        return chosen

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
        """One episode; its frames are decoded when they are looked at.

        Raises:
            UnusableEpisode: If a file, column, row or picture is missing, or does not fit the others.
        """
        meta = read_meta(self.root)
        entry = meta.episodes[key[1]]
        name = f"{slug(Path(self.root).resolve().name)}-{entry.index:06d}"
        rows = episode_rows(entry, [*self._felt, *self._done], meta.fps, name)
        instruction = instruction_of(entry, rows, meta.tasks, name)
        proprioception, actions = self.converted(
            *(_joined(meta, rows, columns, name) for columns in (self._felt, self._done))
        )
        return Episode(
            key=name,
            task=key[0],
            instruction=instruction,
            embodiment=self.embodiment,
            proprioception=proprioception,
            actions=actions,
            frames=self._clips(entry, name) if frames else {},
            frame_steps=np.arange(0, len(actions) if frames and self._videos else 0, self.frame_every, dtype=np.int64),
        )

    @property
    def source(self) -> Path:
        """The folder of the data set."""
        return Path(self.root)

    def fingerprints(self, keys: Sequence[Key], frames: bool) -> list[Fingerprint]:
        """As :meth:`Fingerprinted.fingerprints`."""
        cameras = tuple(self._videos.values()) if frames else ()
        return fingerprints_of(read_meta(self.root), [n for _, n in keys], (*self._felt, *self._done), cameras)

    def converted(self, proprioception: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(T, S)`` and ``(T, A)`` as the embodiment means them, from the columns as they are."""
        if self._increments is None:
            return proprioception, actions
        return proprioception, self._increments.convert(proprioception, actions)

    def close(self) -> None:
        """Nothing stays open."""

    def _clips(self, entry: EpisodeEntry, name: str) -> dict[str, VideoClip | LeRobotPictures]:
        fps, every, size_px = read_meta(self.root).fps, self.frame_every, self.size_px
        clips: dict[str, VideoClip | LeRobotPictures] = {}
        for camera, key in self._videos.items():
            if key in entry.videos:
                path, start_s = entry.videos[key]
                clip: VideoClip | LeRobotPictures = VideoClip(
                    path, entry.length, fps, start_s, every, size_px, episode=name, camera=camera
                )
            else:
                clip = LeRobotPictures(
                    Path(self.root), entry.data, key, entry.index, entry.length, every, size_px, name, camera
                )
            try:
                clip.check()
            except UnusableEpisode as fault:
                if fault.reason == "wrong fps":
                    check_video_rate(read_meta(self.root), camera, key)
                raise
            clips[camera] = clip
        return clips


def _joined(meta: LeRobotMeta, rows: Mapping[str, np.ndarray], columns: Sequence[str], key: str) -> np.ndarray:
    """``(T, d)``: the columns side by side, each as wide as the metadata says."""
    for column in columns:
        found, wanted = rows[column].shape[1], meta.features[column]["shape"][0]
        if found != wanted:
            sentence = f"{column} has {found} numbers a step, meta says {wanted}."
            raise UnusableEpisode(key, "other dimensions", sentence)
    return np.concatenate([rows[column] for column in columns], axis=1)


def slug(text: str) -> str:
    """``text`` in lower-case letters and digits of any script and hyphens, at most 80."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:80] or "unnamed"


def slug_of(entry: EpisodeEntry) -> str:
    """The slug of an episode's first instruction."""
    return slug(entry.tasks[0] if entry.tasks else "")


def _check_columns(meta: LeRobotMeta, columns: Sequence[str]) -> None:
    known = [key for key, f in meta.features.items() if _is_row(f) and str(f["dtype"]).startswith(("float", "int"))]
    for column in columns:
        if column not in meta.features or not _is_row(meta.features[column]):
            raise ValueError(f"{meta.root} has no column of numbers {column!r}; it has {', '.join(known)}.")


def _is_row(feature: Mapping[str, Any]) -> bool:
    shape = feature.get("shape")
    return isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], int)


def _in_order(videos: Mapping[str, str], body: Embodiment) -> dict[str, str]:
    """``videos`` in the order of the embodiment's cameras."""
    if not set(videos) <= set(body.cameras):
        raise ValueError(f"The cameras {list(videos)} are not those of embodiment {body.name}, {list(body.cameras)}.")
    return {name: videos[name] for name in body.cameras if name in videos}


def _check_known(wanted: set[str], known: set[str], root: str) -> None:
    for task in sorted(wanted - known):
        close = difflib.get_close_matches(task, known, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No episode of {root} has the task {task!r}.{hint}")
