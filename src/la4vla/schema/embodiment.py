"""A robot body as a data set sees it: units, order and meaning of every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class Embodiment:
    """Names, units and conventions of one robot's proprioception and actions.

    Args:
        name: Key of this embodiment in policies, shards and on the wire.
        proprioception: One name per dimension ``S``, unit included (``"hand_x_m"``).
        actions: One name per dimension ``A``, unit included.
        cameras: Camera names, in the order the policy receives them.
        control_hz: Rate at which actions are executed.
        position: The three dimensions of ``proprioception`` holding the end-effector position.
        translation: The three dimensions of ``actions`` holding translational increments, same frame as ``position``.
        gripper: Dimension of ``proprioception`` holding the gripper opening, or None without a gripper.
        gripper_open: Value of that dimension when fully open; ``gripper_closed`` when fully closed.
        forward: Unit vector of the robot base's forward direction in the frame of ``position``.
        left: Likewise to the robot's left.
        up: Likewise upward, against gravity.
        gripper_action: Dimension of ``actions`` that commands the gripper, or None without one that is known.
        gripper_action_open: Value of that dimension that opens fully; ``gripper_action_closed`` that closes.
        orientation: The dimensions of ``proprioception`` holding the end effector's orientation in the frame of
            ``position``, its z-axis pointing out of the gripper; None without one.
        orientation_form: What these are: a rotation vector (3), roll, pitch and yaw about fixed axes (3), or a
            quaternion (4); radians.
    """

    name: str
    proprioception: tuple[str, ...]
    actions: tuple[str, ...]
    cameras: tuple[str, ...]
    control_hz: float
    position: tuple[int, int, int] = (0, 1, 2)
    translation: tuple[int, int, int] = (0, 1, 2)
    gripper: int | None = None
    gripper_open: float = 1.0
    gripper_closed: float = 0.0
    forward: tuple[float, float, float] = (1.0, 0.0, 0.0)
    left: tuple[float, float, float] = (0.0, 1.0, 0.0)
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    gripper_action: int | None = None
    gripper_action_open: float = -1.0
    gripper_action_closed: float = 1.0
    # These two say how to read numbers whose meaning the names already fix: bodies that differ in them alone are equal,
    # so that policies from before they were recorded still fit.
    orientation: tuple[int, ...] | None = field(default=None, compare=False)
    orientation_form: Literal["axis_angle", "euler_xyz", "quaternion_xyzw"] = field(default="axis_angle", compare=False)

    def direction(self, word: str) -> np.ndarray:
        """The base-frame unit vector a direction word commands, shape ``(3,)``.

        Raises:
            KeyError: If ``word`` is not one of forward, backward, left, right, upward, downward.
        """
        forward, left, up = (np.asarray(v, dtype=np.float64) for v in (self.forward, self.left, self.up))
        signed = {
            "forward": forward, "backward": -forward,
            "left": left, "right": -left,
            "upward": up, "downward": -up,
        }  # fmt: skip
        return signed[word]

    def to_json(self) -> dict[str, Any]:
        """This embodiment as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Embodiment:
        """The inverse of :meth:`to_json`; lists become tuples."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)
