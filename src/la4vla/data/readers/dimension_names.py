"""What the names of a robot's dimensions tell about them, and no more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Role = Literal["x", "y", "z", "roll", "pitch", "yaw", "qx", "qy", "qz", "qw", "gripper"]
AXES: tuple[Role, ...] = ("x", "y", "z")
EULER: tuple[Role, ...] = ("roll", "pitch", "yaw")
QUATERNION: tuple[Role, ...] = ("qx", "qy", "qz", "qw")
DELTA = {"d", "delta", "deltas", "rel", "relative", "increment"}
QUATERNION_WORDS = {"q", "quat", "quaternion"}
# What makes a number something else than a pose or an opening of the hand.
FOREIGN = {
    *("vel", "velocity", "speed", "acc", "acceleration", "force", "torque", "effort", "current", "wrench"),
    *("object", "obj", "goal", "camera", "cam", "base", "elbow", "shoulder", "joint"),
}
# What makes an x, y or z something else than a place.
TURNING = {"rot", "rotation", "rotvec", "orientation", "ori", "angle", "axisangle", "euler", "angular", "w"}


class Dimension(NamedTuple):
    """What a name tells.

    Args:
        role: What the number is of the hand, or None where the name does not tell.
        delta: Whether it is a difference.
        degrees: Whether it is an angle in degrees.
    """

    role: Role | None
    delta: bool
    degrees: bool


def dimension(name: str) -> Dimension:
    """What ``name`` tells: ``eef_x_m``, ``dx``, ``delta_roll``, ``quat_w``, ``gripper.pos`` and the like."""
    words = set(re.split(r"[^a-z0-9]+", name.lower())) - {""}
    fused = {word[1:] for word in words if word[0] == "d" and word[1:] in (*AXES, *EULER)}
    delta = bool(fused or (words & DELTA and words - DELTA))
    return Dimension(_role(words | fused), delta, bool(words & {"deg", "degree", "degrees"}))


def find(names: Sequence[str], roles: Sequence[Role]) -> tuple[int, ...] | None:
    """The dimension of each of ``roles``, or None unless each is exactly one's."""
    told = [dimension(name).role for name in names]
    if any(told.count(role) != 1 for role in roles):
        return None
    return tuple(told.index(role) for role in roles)


def _role(words: set[str]) -> Role | None:
    if words & FOREIGN:
        return None
    for axis, fused in zip(("x", "y", "z", "w"), QUATERNION, strict=True):
        if fused in words or (axis in words and words & QUATERNION_WORDS):
            return fused
    euler = [angle for angle in EULER if angle in words]
    if euler:
        return euler[0] if len(euler) == 1 else None
    axes = [axis for axis in AXES if axis in words]
    if axes:
        return axes[0] if len(axes) == 1 and not words & TURNING else None
    return "gripper" if any("gripper" in word for word in words) and not words & TURNING else None
