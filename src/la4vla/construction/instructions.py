"""Vision-agnostic instructions: action type, direction and object status in varied plain English."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from la4vla.construction.magnitudes import Magnitude
from la4vla.schema.primitives import Primitive, Status

# {where} is filled with direction words, or for rotations with a turn or an orientation, and is present wherever a
# primitive has a direction, so that a policy that sees nothing can know where to go. No template names an object, its
# looks or its place.
TEMPLATES: dict[Primitive, tuple[str, ...]] = {
    Primitive.GRASP: (
        "close the gripper to grasp the object",
        "grasp the object by closing the gripper",
        "align with and grasp the object",
        "close the gripper around the object",
    ),
    Primitive.PLACE: (
        "open the gripper to release the object",
        "release the held object by opening the gripper",
        "place the object and open the gripper",
        "let go of the object",
    ),
    Primitive.LIFT: (
        "lift the object {where} while holding it",
        "raise the held object {where}",
        "carry the held object {where}",
        "move {where} while holding the object",
    ),
    Primitive.LOWER: (
        "lower the object {where} while holding it",
        "bring the held object {where}",
        "carry the held object {where}",
        "move {where} while holding the object",
    ),
    Primitive.TRANSPORT: (
        "transport the object {where} while holding it",
        "transport the held object {where}",
        "carry the object {where} while holding it",
        "move {where} while holding the object",
    ),
    Primitive.MOVE: (
        "move {where} while holding nothing",
        "move the empty gripper {where}",
        "move {where} with an empty gripper",
        "move the gripper {where} while holding nothing",
        "go {where} without holding anything",
    ),
    Primitive.WRIST_ROTATE: (
        "rotate the held object {where}",
        "turn the wrist {where} while holding the object",
        "rotate the object {where} while holding it",
    ),
    Primitive.REORIENT: (
        "reorient the object {where} while holding it",
        "reorient the held object {where}",
        "turn the held object {where}",
    ),
    Primitive.PUSH: (
        "push the object {where}",
        "push {where} against the object",
        "slide the object {where} by pushing it",
    ),
    Primitive.PULL: (
        "pull the object {where}",
        "drag the object {where}",
        "draw the object {where} by pulling it",
    ),
    Primitive.PRESS: (
        "press {where} on the object",
        "press the object {where}",
        "press {where} against the object",
    ),
    Primitive.ROTATE_FREE: (
        "rotate the empty gripper {where}",
        "turn the gripper {where} while holding nothing",
        "rotate the wrist {where} while holding nothing",
    ),
    Primitive.REORIENT_FREE: (
        "reorient the empty gripper {where}",
        "reorient the gripper {where} while holding nothing",
        "turn the empty gripper {where}",
    ),
    Primitive.WAIT: (
        "wait and stay still {status}",
        "hold still {status}",
        "keep the gripper where it is {status}",
    ),
}

STATUS_WORDS = {Status.HOLDING: "while holding the object", Status.EMPTY: "while holding nothing"}


# How a direction is said of a motion that is shorter or longer than most.
EXTENTS: dict[Magnitude | None, tuple[str, ...]] = {
    None: ("{where}",),
    "slightly": ("slightly {where}", "a little {where}", "{where} slightly", "{where} a short distance"),
    "far": ("far {where}", "a long way {where}", "{where} a long way", "{where} a long distance"),
}


def write_instruction(
    primitive: Primitive,
    directions: Sequence[str],
    status: Status,
    variant: str,
    magnitude: Magnitude | None = None,
) -> str:
    """The instruction of a segment; which wording is taken is a hash of ``variant``, the same on every machine.

    Args:
        primitive: What the segment does.
        directions: Words for where to, the dominant one first; of a rotation, the turn or the pose.
        status: Whether something is held.
        variant: What the wording is drawn by, the segment's key.
        magnitude: A word for how far, or None for a motion of common length.

    Raises:
        ValueError: If a primitive that needs a direction has none.
    """
    templates = TEMPLATES[primitive]
    digest = hashlib.sha256(variant.encode()).digest()
    template = templates[int.from_bytes(digest[:4], "big") % len(templates)]
    extents = EXTENTS[magnitude]
    extent = extents[int.from_bytes(digest[4:8], "big") % len(extents)]
    if "{where}" in template and not directions:
        raise ValueError(f"The instruction of a {primitive} segment must state a direction, got none.")
    where = extent.format(where=" and ".join(directions))
    return template.format(where=where, status=STATUS_WORDS[status])
