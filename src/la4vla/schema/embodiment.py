"""A robot body as a data set sees it: units, order and meaning of every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from la4vla.schema.embodiment_facts import MEANINGS, check_facts

Axis = tuple[float, float, float]
ActionForm = Literal["increment", "absolute"]
KEEP_TOLERANCE = 0.05  # of the way between the commands that open and close; a joystick's centre is not exact
OrientationForm = Literal["axis_angle", "euler_xyz", "quaternion_xyzw"]


@dataclass(frozen=True)
class Embodiment:
    """Names, units and conventions of one robot's proprioception and actions.

    Nothing about a robot has a default that another robot contradicts: what is None is not recorded, and whoever needs
    it says so (:meth:`require`).

    Args:
        name: Key of this embodiment in policies, shards and on the wire.
        proprioception: One name per dimension ``S``, unit included (``"hand_x_m"``).
        actions: One name per dimension ``A``, unit included.
        cameras: Camera names, in the order the policy receives them.
        control_hz: Rate at which actions are executed.
        position: The three dimensions of ``proprioception`` holding the end-effector position.
        translation: The three dimensions of ``actions`` that translate the end effector, same frame as ``position``.
        gripper: Dimension of ``proprioception`` holding the gripper opening, or None without a gripper.
        gripper_open: Value of that dimension when fully open.
        gripper_closed: Likewise when fully closed.
        forward: Unit vector of the robot base's forward direction in the frame of ``position``.
        left: Likewise to the robot's left.
        up: Likewise upward, against gravity.
        gripper_action: Dimension of ``actions`` that commands the gripper, or None without one that is known.
        gripper_action_open: Value of that dimension that opens fully.
        gripper_action_closed: Likewise the one that closes fully.
        gripper_action_keep: Value of that dimension that leaves the gripper as it is, where commands are relative;
            None where every value says how far to open.
        orientation: The dimensions of ``proprioception`` holding the end effector's orientation in the frame of
            ``position``, its z-axis pointing out of the gripper.
        orientation_form: What these are: a rotation vector (3), roll, pitch and yaw about fixed axes (3), or a
            quaternion (4); radians.
        action_form: What the actions that move the end effector are: ``increment``, the way to go in one step, or
            ``absolute``, the pose to go to.

    Raises:
        ValueError: If what is stated cannot be true.
    """

    name: str
    proprioception: tuple[str, ...]
    actions: tuple[str, ...]
    cameras: tuple[str, ...]
    control_hz: float
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

    def __post_init__(self) -> None:
        check_facts(self)

    def require(self, who: str, *facts: str) -> None:
        """Refuse what lacks one of ``facts``, names of fields, in one sentence that names them all.

        Args:
            who: Who needs them, the subject of the sentence.
            facts: Names of fields of this class.

        Raises:
            ValueError: If one is not recorded.
        """
        missing = [f"{fact} ({MEANINGS[fact]})" for fact in facts if getattr(self, fact) is None]
        if missing:
            raise ValueError(
                f"{who} needs facts that embodiment {self.name} does not record: state {', '.join(missing)} in the "
                "card that the data are built from (reader.init_args.facts, or .embodiment)."
            )

    def position_of(self, proprioception: np.ndarray) -> np.ndarray:
        """The end effector's positions in ``proprioception``, ``(T, S)``, as ``(T, 3)`` float64."""
        return _columns(proprioception, self._stated("position"))

    def translation_of(self, actions: np.ndarray) -> np.ndarray:
        """The translational part of ``actions``, ``(T, A)``, as ``(T, 3)`` float64."""
        return _columns(actions, self._stated("translation"))

    def opening_of(self, proprioception: np.ndarray) -> np.ndarray:
        """How far the gripper is open in ``proprioception``, ``(T, S)``: ``(T,)`` float64, 0 closed and 1 open."""
        reading = proprioception[:, self._stated("gripper")].astype(np.float64)
        closed: float = self._stated("gripper_closed")
        opening: np.ndarray = (reading - closed) / (self._stated("gripper_open") - closed)
        return opening

    def closing_of(self, actions: np.ndarray) -> np.ndarray:
        """What the gripper is told in ``actions``, ``(T, A)``: ``(T,)`` float64, -1 opens fully and 1 closes fully.

        A step that leaves the gripper as it is says what the last other one said, and NaN where there was none.
        """
        command = actions[:, self._stated("gripper_action")].astype(np.float64)
        opened: float = self._stated("gripper_action_open")
        way: float = self._stated("gripper_action_closed") - opened
        closing: np.ndarray = 2.0 * (command - opened) / way - 1.0
        if self.gripper_action_keep is None:
            return closing
        spoken = np.abs(command - self.gripper_action_keep) > KEEP_TOLERANCE * abs(way)
        last = np.maximum.accumulate(np.where(spoken, np.arange(len(command)), -1))
        return np.where(last >= 0, closing[last], np.nan)

    @property
    def axes(self) -> np.ndarray:
        """Unit vectors forward, left and up in the frame of the position, the rows of a ``(3, 3)`` array."""
        return np.array([self._stated(axis) for axis in ("forward", "left", "up")], dtype=np.float64)

    def direction(self, word: str) -> np.ndarray:
        """The base-frame unit vector a direction word commands, shape ``(3,)``.

        Raises:
            KeyError: If ``word`` is not one of forward, backward, left, right, upward, downward.
            ValueError: If the axes are not recorded.
        """
        forward, left, up = self.axes
        signed = {
            "forward": forward, "backward": -forward,
            "left": left, "right": -left,
            "upward": up, "downward": -up,
        }  # fmt: skip
        way: np.ndarray = signed[word]
        return way

    def to_json(self) -> dict[str, Any]:
        """This embodiment as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Embodiment:
        """The inverse of :meth:`to_json`; lists become tuples."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)

    def _stated(self, fact: str) -> Any:
        self.require("This", fact)
        return getattr(self, fact)


def _columns(numbers: np.ndarray, dims: tuple[int, int, int]) -> np.ndarray:
    columns: np.ndarray = numbers[:, list(dims)].astype(np.float64)
    return columns
