"""Turns of the hand, from its recorded orientation: about the tool axis, or toward another pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from la4vla.construction.directions import directions_of
from la4vla.construction.durations import check_times, steps_of
from la4vla.construction.keyframes import runs
from la4vla.schema.episode import Episode

CANONICAL_DEG = 20.0  # a tool axis within this of upright or level is called so
LEAST_STEPS = 3


class Turn(NamedTuple):
    """Steps ``start`` to ``stop`` in which turning dominates; ``word`` says where to."""

    start: int
    stop: int
    about_tool: bool
    word: str


@dataclass(frozen=True)
class RotationDetector:
    """Finds the stretches in which the hand turns more than it travels (the dominant-primitive rule).

    The tool axis is the z-axis of the recorded orientation, pointing out of the gripper; "clockwise" is as seen from
    the arm, looking out along it. A turn about another axis ends ``vertical`` or ``horizontal`` where it brings the
    tool axis there, else it is told by the base-frame direction to which the fingertips tip.

    Args:
        lever_m: Metres that a radian weighs against travel: about the distance of the fingertips from the wrist.
        min_deg: A smaller turn is an alignment, which belongs to the motion it accompanies.
        min_deg_s: Slower turning is drift.
        axis_share: A turn is about the tool axis where at least this share of it is.
        window_s: Seconds over which both speeds are averaged, at least three steps.
        min_s: Shorter stretches, and those of less than three steps, are left to their neighbours.

    Raises:
        ValueError: If a number is out of range.
    """

    lever_m: float = 0.1
    min_deg: float = 20.0
    min_deg_s: float = 10.0
    axis_share: float = 0.8
    window_s: float = 0.0625
    min_s: float = 0.075

    def __post_init__(self) -> None:
        if min(self.lever_m, self.min_deg, self.min_deg_s) < 0 or not 0 < self.axis_share <= 1:
            raise ValueError(
                "lever_m, min_deg and min_deg_s cannot be negative and axis_share lies above 0, up to 1, got "
                f"{self.lever_m}, {self.min_deg}, {self.min_deg_s} and {self.axis_share}."
            )
        check_times(window_s=self.window_s, min_s=self.min_s)

    def find(self, episode: Episode, free: np.ndarray) -> list[Turn]:
        """The turns among the steps where ``free``, ``(T,)`` bool; none where no orientation is recorded."""
        body = episode.embodiment
        if body.orientation is None or len(episode) < 2:
            return []
        turn = _orientations(episode)
        hand = body.position_of(episode.proprioception)
        window, least = (steps_of(time, body.control_hz, LEAST_STEPS) for time in (self.window_s, self.min_s))
        spin = np.linalg.norm(_smooth((turn[:-1].inv() * turn[1:]).as_rotvec(), window), axis=1)
        travel = np.linalg.norm(_smooth(np.diff(hand, axis=0), window), axis=1)
        turning = (spin * self.lever_m > travel) & (spin > np.radians(self.min_deg_s) / body.control_hz)
        found = []
        for start, stop in runs(np.append(turning, turning[-1]) & free):
            last = min(stop, len(episode) - 1)
            whole = (turn[start].inv() * turn[last]).as_rotvec()
            if stop - start >= least and np.linalg.norm(whole) >= np.radians(self.min_deg):
                found.append(Turn(start, stop, *self._told(whole, turn[start], turn[last], episode)))
        return found

    def _told(self, whole: np.ndarray, before: Rotation, after: Rotation, episode: Episode) -> tuple[bool, str]:
        """Whether a turn is about the tool axis, and the word for it."""
        if abs(whole[2]) >= self.axis_share * np.linalg.norm(whole):
            return True, "clockwise" if whole[2] > 0 else "counterclockwise"
        tips = before.as_matrix()[:, 2], after.as_matrix()[:, 2]
        up = episode.embodiment.direction("upward")
        leaned = [float(np.degrees(np.arcsin(np.clip(abs(tip @ up), 0.0, 1.0)))) for tip in tips]  # 90 is vertical
        if leaned[1] >= 90.0 - CANONICAL_DEG and leaned[1] > leaned[0]:
            return False, "vertical"
        if leaned[1] <= CANONICAL_DEG and leaned[1] < leaned[0]:
            return False, "horizontal"
        return False, directions_of(tips[1] - tips[0], episode.embodiment, 1.0)[0]


def _smooth(vectors: np.ndarray, window: int) -> np.ndarray:
    smooth: np.ndarray = uniform_filter1d(vectors, window, axis=0, mode="nearest")
    return smooth


def _orientations(episode: Episode) -> Rotation:
    body = episode.embodiment
    assert body.orientation is not None
    numbers = episode.proprioception[:, list(body.orientation)].astype(np.float64)
    if body.orientation_form == "quaternion_xyzw":
        return Rotation.from_quat(numbers)
    if body.orientation_form == "euler_xyz":
        return Rotation.from_euler("xyz", numbers)
    return Rotation.from_rotvec(numbers)
