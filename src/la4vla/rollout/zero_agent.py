"""An agent that does nothing: what the world solves by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from la4vla.rollout.agent import Slot
from la4vla.schema.observation import Observation


class ZeroAgent:
    """Commands zero in every dimension, at every step.

    Args:
        action_dim: Actions per step, ``A``.
        replan_every: Steps answered per query; more cost less talk.
    """

    looks = False

    def __init__(self, action_dim: int, replan_every: int = 25) -> None:
        self.action_dim = action_dim
        self.replan_every = replan_every
        self.identity = f"zero actions of {action_dim} dimensions"

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """Zeros ``(replan_every, A)`` for each slot."""
        return [np.zeros((self.replan_every, self.action_dim), dtype=np.float32) for _ in slots]
