"""The world as an agent meets it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation, Step


class Environment(Protocol):
    """One task of one world: a simulator, or a robot on its table.

    Attributes:
        embodiment: Whose proprioception and actions these are.
    """

    embodiment: Embodiment

    def reset(self, seed: int) -> Observation:
        """Begin a new episode; everything in it is a function of the task and of ``seed`` alone."""
        ...

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        """Execute one action ``(A,)`` float32, physical units. Images are made only if ``look``."""
        ...

    def look(self) -> Observation:
        """The present moment, images included, without any passing of time."""
        ...

    def close(self) -> None:
        """Release whatever the environment holds. It cannot be used again."""
        ...
