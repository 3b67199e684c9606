"""A policy that acts with its vision masked, because somebody asked for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from la4vla.models.policy import Policy
from la4vla.schema.observation import ActionChunk, Observation


@dataclass(frozen=True)
class MaskedPolicy:
    """``policy``, which may act on observations without images although it was trained to see.

    Args:
        policy: Answers; what it does see is not taken from it.
    """

    policy: Policy

    def act(self, observations: Sequence[Observation], draws: Sequence[int] | None = None) -> list[ActionChunk]:
        """One chunk for each observation; see :meth:`Policy.act`."""
        cameras = {camera for domain in self.policy.domains for camera in domain.embodiment.cameras}
        return self.policy.act(observations, draws, allow_missing=cameras)
