"""Facts of a robot that a card states, beside those that its data tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from la4vla.schema.embodiment import ActionForm, Axis, Embodiment, OrientationForm


@dataclass(frozen=True)
class StatedFacts:
    """What a card says of a robot; what is None is taken from elsewhere. The fields are those of :class:`Embodiment`.

    Args:
        name: Key of the embodiment.
        proprioception: A name for every dimension, unit included.
        actions: Likewise, after ``deltas``.
        position: The three dimensions of ``proprioception`` that hold the end effector's position.
        translation: The three dimensions of ``actions`` that translate it.
        gripper: The dimension of ``proprioception`` that holds the gripper's opening.
        gripper_open: Its reading when fully open.
        gripper_closed: Its reading when fully closed.
        forward: Unit vector of the robot's forward direction in the frame of the position.
        left: Likewise to its left.
        up: Likewise upward.
        gripper_action: The dimension of ``actions`` that commands the gripper.
        gripper_action_open: The command that opens fully.
        gripper_action_closed: The command that closes fully.
        gripper_action_keep: The command that leaves the gripper as it is.
        orientation: The dimensions of ``proprioception`` that hold the end effector's orientation.
        orientation_form: ``axis_angle``, ``euler_xyz`` or ``quaternion_xyzw``; radians.
        action_form: ``increment`` or ``absolute``.
    """

    name: str | None = None
    proprioception: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    position: tuple[int, int, int] | None = None
    translation: tuple[int, int, int] | None = None
    gripper: int | None = None
    gripper_open: float | None = None
    gripper_closed: float | None = None
    forward: Axis | None = None
    left: Axis | None = None
    up: Axis | None = None
    gripper_action: int | None = None
    gripper_action_open: float | None = None
    gripper_action_closed: float | None = None
    gripper_action_keep: float | None = None
    orientation: tuple[int, ...] | None = None
    orientation_form: OrientationForm | None = None
    action_form: ActionForm | None = None

    def over(self, body: Embodiment) -> Embodiment:
        """``body`` with what is stated here in the place of what it says.

        Raises:
            ValueError: If both cannot be true together.
        """
        return replace(body, **self.stated)

    @property
    def stated(self) -> dict[str, Any]:
        """What is stated, by field."""
        return {name: value for name, value in asdict(self).items() if value is not None}
