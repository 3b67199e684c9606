"""Commanded poses of a LeRobot data set as increments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from la4vla.data.deltas import Deltas, as_deltas
from la4vla.data.readers.dimension_names import DELTA, EULER, QUATERNION, dimension
from la4vla.schema.embodiment import Embodiment

TURN = 2 * np.pi  # no Euler angle in radians is larger


@dataclass(frozen=True)
class Increments:
    """Which commands become differences to which measured numbers.

    Args:
        deltas: ``per_step`` or ``anchored``; see :func:`la4vla.data.deltas.as_deltas`.
        measured: By dimension of the actions the dimension of the proprioception that measures it.
        angles: Dimensions of the actions that are Euler angles in radians.

    Raises:
        ValueError: If there is no such dimension, or an angle is none that becomes a difference.
    """

    deltas: Deltas
    measured: Mapping[int, int]
    angles: tuple[int, ...]

    @classmethod
    def of(
        cls, deltas: Deltas, body: Embodiment, measured: Mapping[int, int] | None, angles: Sequence[int] | None
    ) -> Increments:
        """What is stated, and beneath it what the names of ``body`` tell: like is measured by like."""
        pairs = dict(measured) if measured is not None else _pairs(body)
        if angles is None:
            angles = [i for i in pairs if dimension(body.actions[i]).role in EULER]
        for i, j in pairs.items():
            if not (0 <= i < len(body.actions) and 0 <= j < len(body.proprioception)):
                raise ValueError(
                    f"measured says that dimension {j} of the proprioception measures dimension {i} of the actions; "
                    f"embodiment {body.name} has {len(body.proprioception)} and {len(body.actions)}, counted from 0."
                )
        for i in angles:
            if i not in pairs:
                raise ValueError(f"angles names dimension {i} of the actions, which {deltas} leaves as it is.")
            if dimension(body.actions[i]).degrees or dimension(body.proprioception[pairs[i]]).degrees:
                raise ValueError(f"deltas={deltas} needs angles in radians, and {body.actions[i]!r} is in degrees.")
        return cls(deltas, pairs, tuple(angles))

    def convert(self, proprioception: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """``(T, A)``: ``actions`` with increments in the place of commanded poses.

        Raises:
            ValueError: If what should be radians is too large for an angle.
        """
        commands, states = list(self.measured), list(self.measured.values())
        for i in self.angles:
            largest = float(np.abs(actions[:, i]).max(initial=0.0))
            if largest > TURN:
                raise ValueError(
                    f"deltas={self.deltas} takes dimension {i} of the actions for an angle in radians, and it goes up "
                    f"to {largest:g}: leave it out of reader.init_args.angles, or convert it to radians."
                )
        made = actions.copy()
        at = [commands.index(i) for i in self.angles]
        made[:, commands] = as_deltas(actions[:, commands], proprioception[:, states], self.deltas, at)
        return made

    def body(self, before: Embodiment, renamed: bool) -> Embodiment:
        """The embodiment of the increments, from that of the commands; another name, for it is another body.

        Args:
            before: The embodiment of the commands.
            renamed: Whether its names are those of the data, which say nothing of differences.
        """
        if not renamed:
            return replace(before, action_form="increment")
        names = [f"delta_{name}" if i in self.measured else name for i, name in enumerate(before.actions)]
        return replace(before, name=f"{before.name}_{self.deltas}", actions=tuple(names), action_form="increment")


def check_poses(body: Embodiment, deltas: Deltas) -> None:
    """Refuse to make differences of what is told to be differences already.

    Raises:
        ValueError: If ``body`` or its names tell so.
    """
    named = [name for name in body.actions if dimension(name).delta]
    if body.action_form == "increment" or named:
        told = f"are called {', '.join(named)}" if named else "are said to be increments"
        raise ValueError(
            f"deltas={deltas} makes increments of commanded poses, and the actions of embodiment {body.name} {told}: "
            "leave deltas out."
        )


def _pairs(body: Embodiment) -> dict[int, int]:
    """Dimensions of the actions, the gripper's but, and those of the proprioception that are called alike."""
    pairs: dict[int, int] = {}
    felt = [_likeness(name) for name in body.proprioception]
    for i, name in enumerate(body.actions):
        role, like = dimension(name).role, _likeness(name)
        if role in QUATERNION:
            raise ValueError(
                f"The actions of embodiment {body.name} hold a quaternion, whose increments are no differences: name "
                "the dimensions to make increments of with reader.init_args.measured, by dimension of the actions that "
                "of the proprioception."
            )
        if role != "gripper" and i != body.gripper_action and felt.count(like) == 1:
            pairs[i] = felt.index(like)
    if not pairs:
        raise ValueError(
            f"No action of embodiment {body.name} is called like a number of its proprioception, so deltas knows no "
            "pose: state reader.init_args.measured, by dimension of the actions that of the proprioception."
        )
    return pairs


def _likeness(name: str) -> str:
    """What two names of one number have in common."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in DELTA]
    return dimension(name).role or "_".join(words)
