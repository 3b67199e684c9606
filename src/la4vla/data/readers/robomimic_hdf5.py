"""Demonstrations in robomimic's HDF5 files: one file a task, one group ``data/demo_N`` a demonstration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from la4vla.data.readers.base import Key, Reader
from la4vla.data.readers.checked_text import checked_text
from la4vla.data.readers.fingerprint import Fingerprint
from la4vla.data.readers.hdf5_fingerprint import demonstration_digest
from la4vla.data.readers.hdf5_frames import Hdf5Frames, picture_shape
from la4vla.data.readers.member_names import as_member_name, check_camera_names
from la4vla.data.readers.packages import require
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode
from la4vla.schema.view import Shot, ViewProfile

with suppress(ImportError):  # the reader's constructor says what to install
    import h5py

# robosuite's Panda under its operational-space controller: an action of 1 is 5 cm or 0.5 rad.
ROBOSUITE_PANDA = Embodiment(
    name="robosuite_panda",
    proprioception=("x_m", "y_m", "z_m", "quat_x", "quat_y", "quat_z", "quat_w", "left_finger_m", "right_finger_m"),
    actions=("dx", "dy", "dz", "drx", "dry", "drz", "gripper_effort"),
    cameras=("agentview", "wrist"),
    control_hz=20.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=7,
    gripper_open=0.04,
    gripper_closed=0.0,
    gripper_action=6,
    gripper_action_open=-1.0,
    gripper_action_closed=1.0,
    forward=(1.0, 0.0, 0.0),
    left=(0.0, 1.0, 0.0),
    up=(0.0, 0.0, 1.0),
    orientation=(3, 4, 5, 6),
    orientation_form="quaternion_xyzw",
    action_form="increment",
)


class RobomimicHdf5Reader(Reader):
    """Reads ``(task, number)``: the demonstration ``demo_<number>`` of the file whose name, as a slug, is the task.

    Args:
        path: A file, or a folder in which all ``*.hdf5`` files below are read. A task is called as its file is, those
            of one name with the folders they lie in before it.
        instruction: What the demonstrators were asked to do; robomimic's files do not say.
        proprioception: Arrays below ``obs`` that make up the proprioception, joined in this order.
        cameras: Names of cameras and the arrays below ``obs`` they stand for; empty without frames.
        embodiment: Whose numbers these are.
        observed: Whether row ``t`` of ``obs`` was taken before the action of row ``t``, or after it. In the latter
            case each action is paired with the observation one row earlier, and one row is lost.
        size_px: Height and width of the frames; None keeps theirs, which must be square and alike.
        rotate_deg: Rotation of the frames, a multiple of 90.
        frame_every: A frame is kept every so many steps.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If there is no demonstration in any, or a setting is out of range.
    """

    def __init__(
        self,
        path: str,
        instruction: str | None = None,
        proprioception: Sequence[str] = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos"),
        cameras: Mapping[str, str] | None = None,
        embodiment: Embodiment = ROBOSUITE_PANDA,
        observed: Literal["before", "after"] = "before",
        size_px: int | None = None,
        rotate_deg: int = 0,
        frame_every: int = 1,
    ) -> None:
        require("Reading HDF5 files", "h5py")
        if frame_every < 1 or (size_px is not None and size_px < 1):
            raise ValueError(f"frame_every and size_px must be at least 1, got {frame_every} and {size_px}.")
        self.instruction, self.observed, self.frame_every = instruction, observed, frame_every
        self.size_px, self.rotate_deg = size_px, rotate_deg
        self._felt = tuple(proprioception)
        if cameras is None:
            cameras = {"agentview": "agentview_image", "wrist": "robot0_eye_in_hand_image"}
        if set(cameras) - set(embodiment.cameras):
            raise ValueError(f"The cameras {list(cameras)} are not among {list(embodiment.cameras)} of the embodiment.")
        check_camera_names(cameras)
        self._cameras = {name: cameras[name] for name in embodiment.cameras if name in cameras}
        self.embodiment: Embodiment = embodiment
        self._path = Path(path)
        self._files = _files(self._path)
        if not any(_demonstrations(file, file.stat().st_mtime_ns) for file in self._files.values()):
            raise ValueError(f"{path} is empty: no file in it has a group data/demo_0.")
        self.view: ViewProfile | None = self._view() if self._cameras else None

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[Key]:
        """Keys file by file, in the order of demonstrations; ``tasks`` holds names of files as slugs.

        Raises:
            ValueError: If there is no file for one of ``tasks``.
        """
        wanted = list(self._files) if tasks == "all" else [tasks] if isinstance(tasks, str) else list(tasks)
        if unknown := [task for task in wanted if task not in self._files]:
            raise ValueError(f"There is no file of the task {unknown[0]!r}; the tasks are {', '.join(self._files)}.")
        return [
            (task, number)
            for task, file in self._files.items()
            if task in wanted
            for number in _demonstrations(file, file.stat().st_mtime_ns)[:episodes]
        ]

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
        """One demonstration; its frames are loaded when they are looked at.

        Raises:
            UnusableEpisode: If an array is missing or damaged, does not fit the others, or holds numbers that are not
                finite.
        """
        task, number = key
        path, name = self._files[task], f"{task}-{number:04d}"
        with h5py.File(path) as file:
            data, demonstration = file["data"], file["data"][f"demo_{number}"]
            instruction = checked_text(self.told(data, name), name)
            felt = [_array(demonstration, f"obs/{column}", name) for column in self._felt]
            proprioception, actions = self._paired(felt, _array(demonstration, "actions", name), name)
            clips = self._clips(demonstration, path, len(actions), name) if frames else {}
        return Episode(
            key=name,
            task=task,
            instruction=instruction,
            embodiment=self.embodiment,
            proprioception=proprioception,
            actions=actions,
            frames=clips,
            frame_steps=np.arange(0, len(actions) if clips else 0, self.frame_every, dtype=np.int64),
        )

    def told(self, data: h5py.Group, name: str) -> str:
        """The instruction of the demonstration ``name`` of a file whose group ``data`` this is."""
        if self.instruction is None:
            raise ValueError(f"{data.file.filename} holds no instruction: give instruction=... in the card.")
        return self.instruction

    @property
    def source(self) -> Path:
        """The file, or the folder of all files."""
        return self._path

    def fingerprints(self, keys: Sequence[Key], frames: bool) -> list[Fingerprint]:
        """As :meth:`Fingerprinted.fingerprints`."""
        arrays = ("actions", *(f"obs/{column}" for column in self._felt))
        pictures = tuple(f"obs/{array}" for array in self._cameras.values()) if frames else ()
        found = []
        for task, number in keys:
            name = f"{task}-{number:04d}"
            with h5py.File(self._files[task]) as file:
                told = self._said(file["data"], name)
                digest = demonstration_digest(file[f"data/demo_{number}"], told, arrays, pictures)
            found.append(Fingerprint(name, digest))
        return found

    def close(self) -> None:
        """Nothing stays open."""

    def _said(self, data: h5py.Group, name: str) -> str:
        try:
            return self.told(data, name)
        except ValueError as fault:
            return str(fault)

    def _paired(self, felt: list[np.ndarray], actions: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Proprioception and the action that followed it, row by row."""
        lengths = {len(actions), *map(len, felt)}
        if len(lengths) != 1:
            raise UnusableEpisode(name, "missing rows", f"its arrays have {sorted(lengths)} rows.")
        proprioception = np.concatenate(felt, axis=1)
        wanted = len(self.embodiment.proprioception), len(self.embodiment.actions)
        if (proprioception.shape[1], actions.shape[1]) != wanted:
            sentence = (
                f"it has {proprioception.shape[1]} and {actions.shape[1]} numbers a step, the embodiment {wanted}."
            )
            raise UnusableEpisode(name, "other dimensions", sentence)
        if self.observed == "after":
            proprioception, actions = proprioception[:-1], actions[1:]
        if not len(actions):
            raise UnusableEpisode(name, "no steps", "it has no step.")
        return proprioception, actions

    def _clips(self, demonstration: h5py.Group, path: Path, steps: int, name: str) -> dict[str, Hdf5Frames]:
        clips = {}
        for camera, array in self._cameras.items():
            stored = demonstration.get(f"obs/{array}")
            if stored is None:
                raise UnusableEpisode(name, "missing video", f"camera {camera}: there is no array obs/{array}.")
            self._check_pictures(stored, camera, name)
            if len(stored) < steps:
                sentence = f"camera {camera}: there are {len(stored)} pictures for {steps} states."
                raise UnusableEpisode(name, "too few frames", sentence)
            clips[camera] = Hdf5Frames(
                path, stored.name, steps, self.frame_every, self.size_px, self.rotate_deg, name, camera
            )
        return clips

    def _check_pictures(self, stored: h5py.Dataset, camera: str, name: str) -> None:
        try:
            shape = picture_shape(stored)
        except ValueError as error:
            raise UnusableEpisode(name, "not colour", f"camera {camera}: {error}") from error
        if self.size_px is None and self.view is not None and shape != (self.view.size_px, self.view.size_px):
            sides = f"{shape[0]}x{shape[1]} px, others {self.view.size_px} px; give size_px to make them alike"
            raise UnusableEpisode(name, "uneven pictures", f"camera {camera}: its pictures have {sides}.")

    def _view(self) -> ViewProfile:
        shapes = {camera: self._shape(camera, array) for camera, array in self._cameras.items()}
        for camera, (height, width) in shapes.items():
            if self.size_px is None and height != width:
                raise ValueError(f"The frames of {camera} are {height}x{width} px; give size_px to make them square.")
        heights = [height for height, _ in shapes.values()]
        if self.size_px is None and len(set(heights)) > 1:
            found = ", ".join(f"{camera} {height} px" for camera, (height, _) in shapes.items())
            raise ValueError(f"The cameras' frames differ in size ({found}); give size_px to make them alike.")
        size = self.size_px or heights[0]
        rendered = "_".join(dict.fromkeys(map(str, heights)))
        name = f"{self.embodiment.name}_{size if rendered == str(size) else f'{rendered}_to_{size}'}"
        return ViewProfile(name, tuple(Shot(camera, size, self.rotate_deg) for camera in shapes), size)

    def _shape(self, camera: str, array: str) -> tuple[int, int]:
        """Height and width of the pictures in ``array`` of the first demonstration that has it in colour."""
        fault = ""
        for path in self._files.values():
            with h5py.File(path) as file:
                for number in _demonstrations(path, path.stat().st_mtime_ns):
                    if (stored := file["data"][f"demo_{number}"].get(f"obs/{array}")) is not None:
                        try:
                            return picture_shape(stored)
                        except ValueError as error:
                            fault = fault or f"No demonstration has pictures for camera {camera}: {error}"
        if fault:
            raise ValueError(fault)
        if self.size_px is None:
            raise ValueError(f"No demonstration has an array obs/{array} for camera {camera}; give other cameras.")
        return self.size_px, self.size_px


def _files(path: Path) -> dict[str, Path]:
    found = [path] if path.is_file() else sorted(path.rglob("*.hdf5"))
    if not found:
        raise FileNotFoundError(f"There is no HDF5 file in {path}. Download the data set first.")
    uses = Counter(_task(file.stem) for file in found)
    files: dict[str, Path] = {}
    for file in found:
        task = _task(file.stem)
        if uses[task] > 1:
            task = _task("-".join((*file.relative_to(path).parent.parts, file.stem)))
        if task in files:
            raise ValueError(f"{files[task]} and {file} would both be the task {task}; rename one of them.")
        files[task] = file
    return files


def _task(stem: str) -> str:
    return as_member_name(stem.removesuffix("_demo").lower()).replace("_", "-")


@lru_cache(maxsize=256)
def _demonstrations(path: Path, modified_ns: int) -> list[int]:
    """Numbers of a file's demonstrations, its groups, ascending."""
    try:
        with h5py.File(path) as file:
            found = file.get("data")
            names = [name for name in found if found.get(name, getclass=True) is h5py.Group] if found else []
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file ({error}). Download it again.") from error
    return sorted(int(name.removeprefix("demo_")) for name in names if name.removeprefix("demo_").isdigit())


def _array(group: h5py.Group, path: str, name: str) -> np.ndarray:
    """``(T, d)`` float32."""
    stored = group.get(path)
    if not isinstance(stored, h5py.Dataset):
        raise UnusableEpisode(name, "missing column", f"it has no array {path}.")
    try:
        values = np.asarray(stored[()], dtype=np.float32)
    except (OSError, ValueError) as error:  # a damaged chunk, or an array of something else
        raise UnusableEpisode(name, "broken data", f"{path} cannot be read as numbers ({error}).") from error
    if values.ndim not in (1, 2):
        raise UnusableEpisode(name, "broken data", f"{path} has the shape {values.shape}, expected a row a step.")
    values = values[:, None] if values.ndim == 1 else values
    if not np.isfinite(values).all():
        step, dim = np.argwhere(~np.isfinite(values))[0].tolist()
        raise UnusableEpisode(name, "not finite", f"{path} is {values[step, dim]} at step {step}, dimension {dim}.")
    return values
