"""The floor under every success rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from la4vla.rollout.agent import Slot
from la4vla.schema.observation import Observation


class RandomAgent:
    """Acts uniformly at random, anew at every step.

    Args:
        action_dim: Actions per step, ``A``.
        limit: Each action is drawn from [-limit, limit], physical units.
        replan_every: Steps drawn per query. The distribution is the same whatever it is; more steps cost less talk.
    """

    looks = False

    def __init__(self, action_dim: int, limit: float = 1.0, replan_every: int = 25) -> None:
        self.action_dim = action_dim
        self.limit = limit
        self.replan_every = replan_every
        self.identity = f"random actions of {action_dim} dimensions within {limit:g}, {replan_every} a query"

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """Uniform actions ``(replan_every, A)`` for each slot, a function of the slot alone."""
        shape = (self.replan_every, self.action_dim)
        draws = [np.random.default_rng(slot.draw).uniform(-self.limit, self.limit, shape) for slot in slots]
        return [draw.astype(np.float32) for draw in draws]
