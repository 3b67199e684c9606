"""Demonstrations of a LeRobot data set, read where they lie: parquet and mp4, version 2.0, 2.1 or 3.0."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from la4vla.data.readers.base import Key, Reader
from la4vla.data.readers.fingerprint import Fingerprint
from la4vla.data.readers.lerobot_body import embodiment_of
from la4vla.data.readers.lerobot_fingerprint import fingerprints_of
from la4vla.data.readers.lerobot_meta import EpisodeEntry, LeRobotMeta, read_meta
from la4vla.data.readers.lerobot_pictures import LeRobotPictures
from la4vla.data.readers.lerobot_rows import episode_rows, instruction_of
from la4vla.data.unusable import UnusableEpisode
from la4vla.data.video import VideoClip
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode
from la4vla.schema.view import Shot, ViewProfile


class LeRobotReader(Reader):
    """Reads the episode ``(task, number)``; the task is the slug of its instruction, the number counts all episodes.

    Numbers are taken as they are. Frames are resized to a square, which squashes other shapes as the official code
    does. Without frames no video is opened, so language-action data needs none.

    Args:
        root: Folder of the data set, the one that holds ``meta``.
        proprioception: Columns of the proprioception, joined in this order.
        actions: Columns of the actions, likewise.
        cameras: Names of cameras, all the embodiment's or some, and the video keys they stand for; None takes the
            embodiment's cameras, or all videos, under the last part of their keys.
        embodiment: Whose numbers these are; None derives it from the metadata, which rarely suffices.
        gripper_open: Reading of a derived embodiment's gripper when fully open.
        gripper_closed: Likewise when fully closed.
        size_px: Height and width of the frames.
        frame_every: A frame is kept every so many steps.

    Raises:
        FileNotFoundError: If there is no such data set.
        ValueError: If it is empty, lacks a column or camera, runs at another rate than the embodiment, or does not say
            what matters about its robot.
    """

    def __init__(
        self,
        root: str,
        proprioception: Sequence[str] = ("observation.state",),
        actions: Sequence[str] = ("action",),
        cameras: Mapping[str, str] | None = None,
        embodiment: Embodiment | None = None,
        gripper_open: float | None = None,
        gripper_closed: float | None = None,
        size_px: int = 224,
        frame_every: int = 1,
    ) -> None:
        if size_px < 1 or frame_every < 1:
            raise ValueError(f"size_px and frame_every must be at least 1, got {size_px} and {frame_every}.")
        self.root, self.frame_every, self.size_px = root, frame_every, size_px
        self._felt, self._done = tuple(proprioception), tuple(actions)
        meta = read_meta(root)
        _check_columns(meta, [*self._felt, *self._done])
        videos = _videos(meta, cameras, embodiment)
        if embodiment is None:
            stroke = None if gripper_open is None or gripper_closed is None else (gripper_open, gripper_closed)
            embodiment = embodiment_of(meta, self._felt, self._done, tuple(videos), stroke)
        self._videos = _in_order(videos, embodiment)
        self.embodiment: Embodiment = embodiment
        _check_body(meta, embodiment, self._felt, self._done)
        self.view: ViewProfile | None = None
        if self._videos:
            shots = tuple(Shot(camera, _height_px(meta, key)) for camera, key in self._videos.items())
            self.view = ViewProfile(f"{embodiment.name}_{size_px}", shots, size_px)

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
        """``(T, S)`` and ``(T, A)`` as the embodiment means them, from the columns as they are; here the same."""
        return proprioception, actions

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
                clip = LeRobotPictures(entry.data, key, entry.index, entry.length, every, size_px, name, camera)
            clip.check()
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
    for column in columns:
        if column not in meta.features or len(meta.features[column]["shape"]) != 1:
            known = ", ".join(
                key
                for key, f in meta.features.items()
                if len(f["shape"]) == 1 and f["dtype"].startswith(("float", "int"))
            )
            raise ValueError(f"{meta.root} has no column of numbers {column!r}; it has {known}.")


def _videos(meta: LeRobotMeta, cameras: Mapping[str, str] | None, body: Embodiment | None) -> dict[str, str]:
    """By camera name the video key."""
    known = {key.removeprefix("observation.images.").replace(".", "_"): key for key in meta.camera_keys}
    chosen = dict(cameras) if cameras is not None else known
    if cameras is None and body is not None:
        chosen = {name: known.get(name, name) for name in body.cameras}
    for name, key in chosen.items():
        if key not in meta.camera_keys:
            raise ValueError(f"Camera {name} wants the video {key!r}; {meta.root} has {', '.join(meta.camera_keys)}.")
    return chosen


def _in_order(videos: Mapping[str, str], body: Embodiment) -> dict[str, str]:
    """``videos`` in the order of the embodiment's cameras."""
    if not set(videos) <= set(body.cameras):
        raise ValueError(f"The cameras {list(videos)} are not those of embodiment {body.name}, {list(body.cameras)}.")
    return {name: videos[name] for name in body.cameras if name in videos}


def _check_body(meta: LeRobotMeta, body: Embodiment, felt: Sequence[str], done: Sequence[str]) -> None:
    if abs(body.control_hz - meta.fps) > 1e-6:
        raise ValueError(
            f"{meta.root} runs at {meta.fps:g} Hz, embodiment {body.name} at {body.control_hz:g} Hz; "
            "take the rate of meta/info.json into the card."
        )
    for names, columns, what in ((body.proprioception, felt, "proprioception"), (body.actions, done, "actions")):
        width = sum(meta.features[column]["shape"][0] for column in columns)
        if width != len(names):
            raise ValueError(
                f"The columns {' + '.join(columns)} have {width} dimensions, the {what} of embodiment {body.name} "
                f"{len(names)}."
            )


def _height_px(meta: LeRobotMeta, key: str) -> int:
    feature = meta.features[key]
    names = feature.get("names")
    return int(feature["shape"][names.index("height") if isinstance(names, list) and "height" in names else 0])


def _check_known(wanted: set[str], known: set[str], root: str) -> None:
    for task in sorted(wanted - known):
        close = difflib.get_close_matches(task, known, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No episode of {root} has the task {task!r}.{hint}")
