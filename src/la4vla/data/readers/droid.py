"""DROID in LeRobot form: a Franka arm at 15 Hz whose actions are commanded poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from la4vla.data.deltas import Deltas, as_deltas
from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.schema.embodiment import Embodiment

ANGLES = (3, 4, 5)
GRIPPER = 6
CAMERAS: Mapping[str, str] = MappingProxyType(
    {name: f"observation.images.{name}" for name in ("exterior_1_left", "wrist_left", "exterior_2_left")}
)

# Position and extrinsic xyz Euler angles of the gripper in the robot's base frame: x forward, y left, z up.
DROID = Embodiment(
    name="droid",
    proprioception=("x_m", "y_m", "z_m", "roll_rad", "pitch_rad", "yaw_rad", "gripper_opening"),
    actions=("dx_m", "dy_m", "dz_m", "droll_rad", "dpitch_rad", "dyaw_rad", "gripper_opening"),
    cameras=tuple(CAMERAS),
    control_hz=15.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=GRIPPER,
    gripper_open=1.0,
    gripper_closed=0.0,
    gripper_action=GRIPPER,
    gripper_action_open=1.0,
    gripper_action_closed=0.0,
    forward=(1.0, 0.0, 0.0),
    left=(0.0, 1.0, 0.0),
    up=(0.0, 0.0, 1.0),
    orientation=ANGLES,
    orientation_form="euler_xyz",
    action_form="increment",
)


class DroidReader(LeRobotReader):
    """Reads DROID with its gripper turned round, 1 open and 0 closed, and its commands as differences.

    The three kinds of differences are three embodiments (``droid``, ``droid_anchored``, ``droid_absolute``), because a
    policy of one must not be mistaken for one of another.

    Args:
        root: Folder of the data set, the one that holds ``meta``.
        deltas: ``per_step`` (the official one), ``anchored`` or ``none``; see :func:`la4vla.data.deltas.as_deltas`.
        cameras: Those to read, of ``exterior_1_left``, ``wrist_left`` and ``exterior_2_left``. The embodiment has all
            three whatever is read, so that data without frames and data with them are of one robot.
        pose: Column that holds the measured pose of six numbers; ``pose_command`` the commanded one.
        gripper: Column that holds the gripper's reading, 0 open and 1 closed; ``gripper_command`` its command.
        pose_command: See ``pose``.
        gripper_command: See ``gripper``.
        size_px: Height and width of the frames.
        frame_every: A frame is kept every so many steps.
    """

    def __init__(
        self,
        root: str,
        deltas: Deltas = "per_step",
        cameras: Sequence[str] = tuple(CAMERAS),
        pose: str = "observation.state.cartesian_position",
        gripper: str = "observation.state.gripper_position",
        pose_command: str = "action.cartesian_position",
        gripper_command: str = "action.gripper_position",
        size_px: int = 224,
        frame_every: int = 1,
    ) -> None:
        if unknown := [camera for camera in cameras if camera not in CAMERAS]:
            raise ValueError(f"DROID has no camera {', '.join(unknown)}; it has {', '.join(CAMERAS)}.")
        self.deltas = deltas
        super().__init__(
            root,
            (pose, gripper),
            (pose_command, gripper_command),
            {camera: CAMERAS[camera] for camera in cameras},
            droid(deltas),
            size_px=size_px,
            frame_every=frame_every,
        )

    def converted(self, proprioception: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Differences of poses and openings in place of poses and closures."""
        measured, commanded = proprioception.copy(), actions.copy()
        measured[:, GRIPPER] = 1 - proprioception[:, GRIPPER]
        commanded[:, GRIPPER] = 1 - actions[:, GRIPPER]
        pose = slice(0, GRIPPER)
        commanded[:, pose] = as_deltas(commanded[:, pose], measured[:, pose], self.deltas, ANGLES)
        return measured, commanded


def droid(deltas: Deltas) -> Embodiment:
    """The embodiment of DROID with one kind of differences."""
    if deltas == "none":
        return replace(DROID, name="droid_absolute", actions=DROID.proprioception, action_form="absolute")
    return DROID if deltas == "per_step" else replace(DROID, name="droid_anchored")
