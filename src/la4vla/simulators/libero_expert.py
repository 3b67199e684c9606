"""A scripted expert that picks one thing up and puts it into or onto another: LIBERO's suites spatial and object."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from la4vla.simulators.libero_grasps import Grasp, Thing, grasps_of

Phase = Literal["approach", "descend", "close", "lift", "transport", "lower", "release", "retreat", "back"]

METRES_PER_UNIT = 0.05  # what an action of 1 adds to the controller's goal
RADIANS_PER_UNIT = 0.5
GAIN = 1.6  # of the distance to go; the controller lags behind its goal, and would creep at the end with 1
HOVER_M = 0.07  # above what is to be picked, and over where it goes
DEEP_M = 0.05  # a target whose box is higher is a container, into which things are dropped
DROP_M = 0.05  # above a container's floor, so that the palm stays clear of its rim
REST_M = 0.004  # above a plate's highest point
LIFTING_STEPS = 12
CLOSING_STEPS = 8
RELEASING_STEPS = 5
BLOCKED_STEPS = 20  # of a descent, after which something must be in the way,
BLOCKED_M = 0.015  # if it is still so far from its end
PATIENCE_STEPS = 60  # of any other phase
HELD_WITHIN_M = 0.14  # of the fingers: a bowl's centre is off its rim


class Moment(NamedTuple):
    """What the expert sees: the hand's position and turn, the fingers' speeds, what is picked and where it goes."""

    hand: np.ndarray
    turn: np.ndarray
    speeds: np.ndarray
    thing: Thing
    target: Thing

    @classmethod
    def read(cls, privileged: np.ndarray) -> Moment:
        """From ``LiberoEnvironment.privileged``.

        Raises:
            ValueError: If there are not two bodies of interest.
        """
        if len(privileged) < 11 + 2 * 13:
            raise ValueError(
                "LIBERO's scripted expert needs a thing to pick and a place to put it; this task has none."
            )
        turn = Rotation.from_quat(privileged[3:7]).as_matrix()
        things = Thing.read(privileged[11:24]), Thing.read(privileged[24:37])
        return cls(privileged[:3], turn, privileged[9:11], *things)


class LiberoExpert:
    """Approach from above, descend, close, lift, carry over, lower, open, go up; and again where the grasp failed.

    The first body of interest is picked up, the second is where it goes. The expert remembers its phase, so each
    episode needs one of its own, asked once a step.

    Args:
        first_grasp: Number of the grasp that is tried first; another number for another way to do it.

    Attributes:
        phase: What it is about.
        failed_grasps: How often it had to try again.
    """

    def __init__(self, first_grasp: int = 0) -> None:
        self.phase: Phase = "approach"
        self.failed_grasps = 0
        self._steps = 0
        self._first_grasp = first_grasp
        self._grasp: Grasp | None = None
        self._picked_m = 0.0
        self._carry_m = 0.0

    def act(self, privileged: np.ndarray) -> np.ndarray:
        """The command ``(7,)`` float32 in [-1, 1] for the moment that ``privileged`` describes.

        Raises:
            ValueError: If there are not two bodies of interest.
        """
        now = Moment.read(privileged)
        if self._grasp is None:
            self._grasp = self._planned(now)
        self._steps += 1
        following = self._following(now, self._grasp)
        if following is not None:
            self.phase, self._steps = following, 0
        command = np.zeros(7)
        command[:3] = GAIN * (self._goal(now, self._grasp) - now.hand) / METRES_PER_UNIT
        command[3:6] = self._grasp.rotation_error(now.turn) / RADIANS_PER_UNIT
        command[6] = 1.0 if self.phase in ("close", "lift", "transport", "lower") else -1.0
        return np.clip(command, -1.0, 1.0).astype(np.float32)

    def _planned(self, now: Moment) -> Grasp:
        grasps = grasps_of(now.thing, now.turn[:, 1])
        return grasps[(self._first_grasp + self.failed_grasps) % len(grasps)]

    def _goal(self, now: Moment, grasp: Grasp) -> np.ndarray:
        """Where the point between the fingers should go in the present phase, ``(3,)`` metres."""
        hand, thing = now.hand, now.thing
        x, y = (thing.centre + grasp.offset)[:2]
        over_x, over_y = (hand + now.target.centre - thing.centre)[:2]
        hover = thing.top + HOVER_M
        if self.phase == "approach" and hand[2] < hover - 0.03:
            # Up before over, where what is to be picked stands higher than the hand.
            return np.array([hand[0], hand[1], hover])
        goals = {
            "approach": (x, y, hover),
            "descend": (x, y, grasp.height(thing)),
            "close": (x, y, grasp.height(thing)),
            "lift": (hand[0], hand[1], self._carry_m),
            "transport": (over_x, over_y, self._carry_m),
            "lower": (over_x, over_y, hand[2] + _resting_height(now.target) - thing.bottom),
            "release": tuple(hand),
            "retreat": (hand[0], hand[1], self._carry_m),
            "back": (hand[0], hand[1], hover),
        }
        return np.array(goals[self.phase])

    def _following(self, now: Moment, grasp: Grasp) -> Phase | None:
        """The phase that comes now, or None where the present one goes on."""
        away = np.abs(self._goal(now, grasp) - now.hand)
        late = self._steps > PATIENCE_STEPS
        if self.phase in ("transport", "lower") and np.linalg.norm(now.thing.centre - now.hand) > HELD_WITHIN_M:
            return "back"
        if self.phase == "approach":
            turned = np.abs(grasp.rotation_error(now.turn)).max() < 0.08
            return (
                "descend" if away[:2].max() < 0.01 and away[2] < 0.03 and turned and self._is_over(now, grasp) else None
            )
        if self.phase == "descend":
            if self._steps > BLOCKED_STEPS and away[2] > BLOCKED_M:
                return "back"
            return "close" if away.max() < 0.008 or self._steps > BLOCKED_STEPS else None
        if self.phase == "close":
            closed = self._steps > CLOSING_STEPS and np.abs(now.speeds).max() < 0.01
            return self._lift(now) if closed or late else None
        if self.phase == "lift":
            if self._steps > LIFTING_STEPS and now.thing.position[2] < self._picked_m + 0.02:
                return "back"
            return "transport" if away[2] < 0.02 or late else None
        if self.phase == "transport":
            return "lower" if away[:2].max() < 0.01 or late else None
        if self.phase == "lower":
            return "release" if away[2] < 0.008 or self._steps > BLOCKED_STEPS else None
        if self.phase == "release":
            return "retreat" if self._steps > RELEASING_STEPS else None
        return self._again(now) if self.phase == "back" and (away[2] < 0.02 or late) else None

    def _is_over(self, now: Moment, grasp: Grasp) -> bool:
        beside = (now.thing.centre + grasp.offset - now.hand)[:2]
        return bool(np.abs(beside).max() < 0.01)

    def _lift(self, now: Moment) -> Phase:
        self._picked_m = float(now.thing.position[2])
        self._carry_m = float(now.hand[2]) + max(now.target.top + HOVER_M - now.thing.bottom, HOVER_M)
        return "lift"

    def _again(self, now: Moment) -> Phase:
        self.failed_grasps += 1
        self._grasp = self._planned(now)
        return "approach"


def _resting_height(target: Thing) -> float:
    """Height of a thing's lowest point when it is let go."""
    return target.bottom + DROP_M if 2 * target.half[2] > DEEP_M else target.top + REST_M
