"""Commanded poses as differences, with angles that take the short way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Deltas = Literal["per_step", "anchored", "none"]


def as_deltas(commands: np.ndarray, states: np.ndarray, deltas: Deltas, angles: Sequence[int]) -> np.ndarray:
    """Commanded poses ``c`` relative to measured ones ``s``, each ``(T, d)``.

    * ``per_step``: ``c[k] - s[k]``, as the official code trains. A chunk predicts them for states that the robot has
      not reached yet, so whoever executes it must measure, or assume, the state before each step.
    * ``anchored``: ``c[k] - c[k-1]``, with ``c[-1] = s[0]``: the running sum over a chunk is the commanded pose
      relative to the last command before it, and needs no future state.
    * ``none``: ``c[k]`` itself.

    Args:
        commands: Commanded poses.
        states: Measured poses, before the command of the same row.
        deltas: Which of the three.
        angles: Dimensions that are Euler angles in radians. Their differences are wrapped to ``[-pi, pi)``, without
            which a hand pointing down, whose roll is near pi, jumps by a whole turn from one step to the next.
    """
    if deltas == "none":
        return commands
    before = states if deltas == "per_step" else np.concatenate([states[:1], commands[:-1]])
    difference = commands.astype(np.float64) - before
    difference[:, list(angles)] = wrapped(difference[:, list(angles)])
    result: np.ndarray = difference.astype(commands.dtype)
    return result


def wrapped(angle_rad: np.ndarray) -> np.ndarray:
    """``angle_rad`` in ``[-pi, pi)``."""
    turned: np.ndarray = (angle_rad + np.pi) % (2 * np.pi) - np.pi
    return turned
