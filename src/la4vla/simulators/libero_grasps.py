"""Things as LIBERO's simulator tells them, and the ways a two-fingered hand from above can take hold of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

WIDEST_M = 0.07  # that the fingers, 8 cm apart, take between them
TIP_M = 0.012  # from the point between the fingers to their tips, with a little air
SIDE_DEPTH_M = 0.035  # how far the fingers reach down a thing's sides
RIM_DEPTH_M = 0.022  # and down the wall of a bowl
RIM_WALL_M = 0.006  # from a bowl's outermost point to the middle of its wall
RIM_TURNS_DEG = (0.0, 90.0, 60.0, -60.0, 30.0, -30.0)


class Thing(NamedTuple):
    """A body: where it is, how it is turned, and its box ``(2, 3)`` in its own axes; metres."""

    position: np.ndarray
    turn: np.ndarray
    box: np.ndarray

    @classmethod
    def read(cls, numbers: np.ndarray) -> Thing:
        """From the 13 numbers of a body in ``LiberoEnvironment.privileged``."""
        return cls(numbers[:3], Rotation.from_quat(numbers[3:7]).as_matrix(), numbers[7:].reshape(2, 3))

    @property
    def centre(self) -> np.ndarray:
        """The middle of the box, in the world."""
        centre: np.ndarray = self.position + self.turn @ self.box.mean(axis=0)
        return centre

    @property
    def half(self) -> np.ndarray:
        """Half the box's extents along the world's axes."""
        half: np.ndarray = np.abs(self.turn) @ (self.box[1] - self.box[0]) / 2
        return half

    @property
    def top(self) -> float:
        """Height of the highest point."""
        return float(self.centre[2] + self.half[2])

    @property
    def bottom(self) -> float:
        """Height of the lowest point."""
        return float(self.centre[2] - self.half[2])


class Grasp(NamedTuple):
    """Where the hand closes.

    Attributes:
        offset: From the thing's centre, ``(3,)``, horizontal.
        across: Horizontal unit vector from one finger to the other.
        depth_m: Below the thing's top.
    """

    offset: np.ndarray
    across: np.ndarray
    depth_m: float

    def height(self, thing: Thing) -> float:
        """Height of the point between the fingers when they close."""
        return max(thing.top - self.depth_m, thing.bottom + TIP_M)

    def rotation_error(self, turn: np.ndarray) -> np.ndarray:
        """Rotation vector from the hand's present turn to the grasp's, fingers straight down."""
        down = np.array([0.0, 0.0, -1.0])
        wanted = np.stack([np.cross(self.across, down), self.across, down], axis=1)
        error: np.ndarray = Rotation.from_matrix(wanted @ turn.T).as_rotvec()
        return error


def grasps_of(thing: Thing, across: np.ndarray) -> list[Grasp]:
    """The ways to grasp a thing, at least one; ``across`` is where the hand's fingers point now.

    A thing narrow enough is taken at its sides, first the way that turns the hand least; any other at its rim.
    """
    upright = int(np.abs(thing.turn[2]).argmax())
    extents = thing.box[1] - thing.box[0]
    found = []
    for axis in sorted({0, 1, 2} - {upright}):
        way = _level(thing.turn[:, axis])
        if extents[axis] <= WIDEST_M:
            found.append(Grasp(np.zeros(3), way if way @ across >= 0 else -way, SIDE_DEPTH_M))
    return sorted(found, key=lambda grasp: -float(grasp.across @ across)) or _rim_grasps(thing, across)


def _rim_grasps(thing: Thing, across: np.ndarray) -> list[Grasp]:
    """Places around the rim of a round thing, one finger inside; opposite ones in turn."""
    rim = float(thing.half[:2].min()) - RIM_WALL_M
    ways = [Rotation.from_euler("z", turn, degrees=True).apply(_level(across)) for turn in RIM_TURNS_DEG]
    return [Grasp(sign * rim * way, way, RIM_DEPTH_M) for way in ways for sign in (-1.0, 1.0)]


def _level(way: np.ndarray) -> np.ndarray:
    flat = way * [1.0, 1.0, 0.0]
    level: np.ndarray = flat / np.linalg.norm(flat)
    return level
