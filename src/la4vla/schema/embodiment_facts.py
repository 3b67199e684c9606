"""What each fact of an embodiment means, and which of them cannot be true together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from la4vla.schema.embodiment import Embodiment

MEANINGS = {
    "position": "the three dimensions of proprioception that hold the end effector's position",
    "translation": "the three dimensions of the actions that translate the end effector",
    "gripper": "the dimension of proprioception that holds the gripper's opening",
    "gripper_open": "its reading when the gripper is fully open",
    "gripper_closed": "its reading when the gripper is fully closed",
    "gripper_action": "the dimension of the actions that commands the gripper",
    "gripper_action_open": "the command that opens the gripper fully",
    "gripper_action_closed": "the command that closes the gripper fully",
    "gripper_action_keep": "the command that leaves the gripper as it is",
    "forward": "the robot's forward direction as a unit vector in the frame of the position",
    "left": "its left likewise",
    "up": "its up likewise",
    "orientation": "the dimensions of proprioception that hold the end effector's orientation",
    "orientation_form": "axis_angle, euler_xyz or quaternion_xyzw",
    "action_form": "increment or absolute",
}
AXES = ("forward", "left", "up")
TOLERANCE = 1e-3  # of lengths and cosines; a card may have three decimals
WIDTHS = {"axis_angle": 3, "euler_xyz": 3, "quaternion_xyzw": 4}
# Facts that say something about another one, which must be stated with them.
BELONGING = {
    "gripper_open": "gripper",
    "gripper_closed": "gripper",
    "gripper_action_open": "gripper_action",
    "gripper_action_closed": "gripper_action",
    "gripper_action_keep": "gripper_action_closed",
    "orientation_form": "orientation",
    "orientation": "orientation_form",
}


def check_facts(body: Embodiment) -> None:
    """Refuse an embodiment whose facts cannot be true.

    Raises:
        ValueError: In one sentence, about the first such fact.
    """
    for fault in (*_names(body), *_dimensions(body), *_gripper(body), *_orientation(body), *_axes(body)):
        raise ValueError(f"Embodiment {body.name!r} cannot be: {fault}.")


def _names(body: Embodiment) -> Iterator[str]:
    if not body.name:
        yield "its name is empty"
    if not body.actions:
        yield "it has no actions"
    for field in ("proprioception", "actions", "cameras"):
        names: Sequence[str] = getattr(body, field)
        if "" in names:
            yield f"a name in {field} is empty, {list(names)}"
        if twice := [name for name in dict.fromkeys(names) if list(names).count(name) > 1]:
            yield f"{field} has more than one {twice[0]!r}, and every dimension needs a name of its own"
    if not (math.isfinite(body.control_hz) and body.control_hz > 0):
        yield f"control_hz must be above 0, got {body.control_hz}"


def _dimensions(body: Embodiment) -> Iterator[str]:
    for field, facts in (
        ("proprioception", ("position", "orientation", "gripper")),
        ("actions", ("translation", "gripper_action")),
    ):
        size, taken = len(getattr(body, field)), dict[int, str]()
        for fact in facts:
            value = getattr(body, fact)
            dims = () if value is None else (value,) if isinstance(value, int) else tuple(value)
            if fact in ("position", "translation") and len(dims) not in (0, 3):
                yield f"{fact} is {list(dims)}, and three dimensions are needed, along x, y and z"
            for dim in dims:
                if not 0 <= dim < size:
                    yield f"{fact} names dimension {dim}, and {field} has {size}, counted from 0"
                if dim in taken:
                    yield f"dimension {dim} of {field} is named twice, in {taken[dim]} and in {fact}"
                taken[dim] = fact


def _gripper(body: Embodiment) -> Iterator[str]:
    for fact, other in BELONGING.items():
        if getattr(body, fact) is not None and getattr(body, other) is None:
            yield f"{fact} is stated without {other} ({MEANINGS[other]})"
    for what in ("gripper", "gripper_action"):
        opened, closed = getattr(body, f"{what}_open"), getattr(body, f"{what}_closed")
        if (opened is None) != (closed is None):
            given, lacking = ("open", "closed") if closed is None else ("closed", "open")
            yield f"{what}_{given} is stated without {what}_{lacking}"
        elif opened is not None and not (math.isfinite(opened) and math.isfinite(closed)):
            yield f"{what}_open and {what}_closed must be finite, got {opened:g} and {closed:g}"
        elif opened is not None and opened == closed:
            yield f"{what}_open and {what}_closed are both {opened:g}, so that nothing tells open from closed"
    keep = body.gripper_action_keep
    if keep is not None and (keep in (body.gripper_action_open, body.gripper_action_closed) or not math.isfinite(keep)):
        yield f"gripper_action_keep is {keep:g}, which must be finite and neither the command that opens nor closes"


def _orientation(body: Embodiment) -> Iterator[str]:
    if body.orientation is not None and body.orientation_form is not None:
        width = WIDTHS.get(body.orientation_form)
        if width is None:
            yield f"orientation_form must be one of {', '.join(WIDTHS)}, got {body.orientation_form}"
        elif len(body.orientation) != width:
            yield f"orientation names {len(body.orientation)} dimensions, and {body.orientation_form} has {width}"


def _axes(body: Embodiment) -> Iterator[str]:
    stated = {axis: vector for axis in AXES if (vector := getattr(body, axis)) is not None}
    if not stated:
        return
    if len(stated) < len(AXES):
        yield f"{', '.join(stated)} is stated without {', '.join(a for a in AXES if a not in stated)}"
        return
    if any(len(vector) != 3 for vector in stated.values()):
        yield "forward, left and up must have three numbers each"
        return
    axes = np.array(list(stated.values()), dtype=np.float64)
    told = f"forward {list(body.forward or ())}, left {list(body.left or ())} and up {list(body.up or ())}"
    if not np.allclose(axes @ axes.T, np.eye(3), rtol=0, atol=TOLERANCE):
        yield f"{told} must be unit vectors at right angles to each other"
    elif np.linalg.det(axes) < 0:
        yield f"{told} are left-handed: with the thumb forward and the index finger left, the middle finger is up"
