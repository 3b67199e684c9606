"""Whose numbers a LeRobot reader's episodes hold: stated, left by our own export, or derived; then its increments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from la4vla.data.deltas import Deltas
from la4vla.data.readers.lerobot_body import (
    derived_embodiment,
    gripper_of,
    names_of,
    open_facts,
    own_embodiment,
    poses_by_name,
)
from la4vla.data.readers.lerobot_deltas import Increments, check_poses
from la4vla.data.readers.lerobot_meta import LeRobotMeta
from la4vla.data.readers.stated_facts import StatedFacts
from la4vla.schema.embodiment import Embodiment


@dataclass(frozen=True)
class Request:
    """What a card says about columns and the robot.

    Args:
        proprioception: Columns of the proprioception.
        actions: Columns of the actions.
        embodiment: The whole embodiment, or None.
        facts: Single facts, which go before what is known from elsewhere.
        deltas: What becomes of commanded poses.
        measured: By dimension of the actions the one of the proprioception that measures it; None goes by names.
        angles: Dimensions of the actions that are Euler angles in radians; None goes by names.
    """

    proprioception: tuple[str, ...]
    actions: tuple[str, ...]
    embodiment: Embodiment | None
    facts: StatedFacts
    deltas: Deltas
    measured: Mapping[int, int] | None
    angles: Sequence[int] | None


def settle(
    meta: LeRobotMeta, request: Request, cameras: Sequence[str]
) -> tuple[Embodiment, Increments | None, list[str]]:
    """The embodiment, how its actions are made, and sentences on what the metadata had to tell.

    Raises:
        ValueError: If too little is known, or what is stated does not fit the data.
    """
    if request.embodiment is not None:
        body = request.facts.over(request.embodiment)
        check_size(meta, body, request.proprioception, request.actions)
        increments = None
        if request.deltas != "none":
            if body.action_form == "absolute":
                raise ValueError(
                    f"deltas={request.deltas} makes increments, and embodiment {body.name} says that its actions are "
                    "absolute: it describes what comes out, so let its action_form be increment."
                )
            increments = Increments.of(request.deltas, body, request.measured, request.angles)
            body = increments.body(body, renamed=False)
        return body, increments, []
    own = own_embodiment(meta)
    # what is stated of the actions is meant of what comes out
    commands = request.facts if request.deltas == "none" else replace(request.facts, name=None, action_form=None)
    body = own or derived_embodiment(meta, request.proprioception, request.actions, cameras, commands)
    increments = None
    if request.deltas != "none":
        if request.facts.actions is None:
            check_poses(body, request.deltas)
        check_size(meta, body, request.proprioception, request.actions)
        increments = Increments.of(request.deltas, body, request.measured, request.angles)
        body = increments.body(body, renamed=True)
    body = request.facts.over(body)
    check_size(meta, body, request.proprioception, request.actions)
    if own:
        return body, increments, []
    poses = poses_by_name(body) if request.facts.action_form is None else []
    return body, increments, [*open_facts(meta, body, request.proprioception), *poses]


def with_stroke(
    meta: LeRobotMeta, columns: Sequence[str], facts: StatedFacts, opened: float, closed: float
) -> StatedFacts:
    """``facts`` with a gripper's readings when open and closed, where the robot has a gripper."""
    gripper = facts.gripper
    if gripper is None and own_embodiment(meta) is None:
        gripper = gripper_of(facts.proprioception or names_of(meta, columns, "proprioception"), columns)
    return facts if gripper is None else replace(facts, gripper_open=opened, gripper_closed=closed)


def check_size(meta: LeRobotMeta, body: Embodiment, felt: Sequence[str], done: Sequence[str]) -> None:
    """Check that an embodiment has the rate of the data, and as many dimensions as the columns.

    Raises:
        ValueError: If it does not.
    """
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
