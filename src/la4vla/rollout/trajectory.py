"""What a rollout is asked for, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Job(NamedTuple):
    """One episode to be run.

    Attributes:
        task: Slug of the task.
        seed: Seed of the episode: placement in the world and draws of the agent follow from it.
        film: Whether frames of the episode are kept.
    """

    task: str
    seed: int
    film: bool = False


@dataclass(frozen=True)
class Trajectory:
    """One episode that was run, from reset to success or to the last step allowed.

    Args:
        task: Slug of the task.
        seed: Seed of the episode.
        success: Whether the task was solved at any step; the episode ends there.
        steps: Actions executed, ``T``.
        actions: ``(T, A)`` float32, as executed, that is after the environment's clipping.
        proprioception: ``(T + 1, S)`` float32: before each action, and after the last.
        frames: ``(h, w, 3)`` uint8 images of a filmed episode, all cameras side by side, at most 256 high; else empty.
        frame_steps: Actions executed before each frame.
        attempts: How often the episode was begun: more than once where a worker died while playing it.
        instruction: What the agent was told.
    """

    task: str
    seed: int
    success: bool
    steps: int
    actions: np.ndarray
    proprioception: np.ndarray
    frames: list[np.ndarray] = field(default_factory=list)
    frame_steps: list[int] = field(default_factory=list)
    attempts: int = 1
    instruction: str = ""
