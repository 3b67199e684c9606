"""The atomic-action vocabulary of LA4VLA (its Tables 2 and 8), as data."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Whether the gripper holds an object."""

    HOLDING = "HOLDING"
    EMPTY = "EMPTY"


class Context(StrEnum):
    """How the segment interacts with objects (columns of Table 2)."""

    OBJECT = "object manipulation"
    CONTACT = "contact interaction"
    FREE = "free-space motion"
    NONE = "none"


class Motion(StrEnum):
    """The dominant kind of motion (rows of Table 2)."""

    GRIPPER = "gripper"
    TRANSLATION = "translation"
    ROTATION = "rotation"
    NONE = "none"


class Primitive(StrEnum):
    """One atomic action."""

    GRASP = "grasp"
    PLACE = "place"
    LIFT = "lift"
    LOWER = "lower"
    TRANSPORT = "transport"
    WRIST_ROTATE = "wrist_rotate"
    REORIENT = "reorient"
    PUSH = "push"
    PULL = "pull"
    PRESS = "press"
    MOVE = "move"
    ROTATE_FREE = "rotate_free"
    REORIENT_FREE = "reorient_free"
    WAIT = "wait"


class Definition(NamedTuple):
    """One row of Table 8 with its cell of Table 2; ``status`` is None where it changes or may be either."""

    context: Context
    motion: Motion
    status: Status | None
    meaning: str


DEFINITIONS: dict[Primitive, Definition] = {
    Primitive.GRASP: Definition(
        Context.OBJECT, Motion.GRIPPER, None, "Close the gripper on an object, alignment with it included."
    ),
    Primitive.PLACE: Definition(
        Context.OBJECT, Motion.GRIPPER, None, "Bring a held object to its target and open the gripper."
    ),
    Primitive.LIFT: Definition(
        Context.OBJECT, Motion.TRANSLATION, Status.HOLDING, "Carry a held object mainly upward."
    ),
    Primitive.LOWER: Definition(
        Context.OBJECT, Motion.TRANSLATION, Status.HOLDING, "Carry a held object mainly downward."
    ),
    Primitive.TRANSPORT: Definition(
        Context.OBJECT, Motion.TRANSLATION, Status.HOLDING, "Carry a held object mainly horizontally, base frame."
    ),
    Primitive.WRIST_ROTATE: Definition(
        Context.OBJECT, Motion.ROTATION, Status.HOLDING, "Turn a held object about the tool axis."
    ),
    Primitive.REORIENT: Definition(
        Context.OBJECT, Motion.ROTATION, Status.HOLDING, "Turn a held object toward a target orientation."
    ),
    Primitive.PUSH: Definition(
        Context.CONTACT, Motion.TRANSLATION, None, "Move an object away from the end effector by contact."
    ),
    Primitive.PULL: Definition(
        Context.CONTACT, Motion.TRANSLATION, None, "Move an object toward the end effector by contact."
    ),
    Primitive.PRESS: Definition(
        Context.CONTACT, Motion.TRANSLATION, None, "Apply downward force by contact to actuate or depress a target."
    ),
    Primitive.MOVE: Definition(
        Context.FREE, Motion.TRANSLATION, Status.EMPTY, "Move the empty gripper through free space, base frame."
    ),
    Primitive.ROTATE_FREE: Definition(
        Context.FREE, Motion.ROTATION, Status.EMPTY, "Turn the empty gripper about its own axis."
    ),
    Primitive.REORIENT_FREE: Definition(
        Context.FREE, Motion.ROTATION, Status.EMPTY, "Turn the empty gripper toward a target orientation."
    ),
    Primitive.WAIT: Definition(Context.NONE, Motion.NONE, None, "Stay still."),
}
