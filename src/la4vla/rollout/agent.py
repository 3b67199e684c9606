"""Who acts: an agent turns observations into actions, some steps at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from la4vla.schema.observation import ActionChunk, Observation


@dataclass(frozen=True)
class Slot:
    """Which episode asks for actions, and for the how-manieth time.

    Args:
        task: Slug of the task.
        seed: Seed of the episode.
        query: Number of the query within the episode, from 0.
    """

    task: str
    seed: int
    query: int

    @property
    def draw(self) -> int:
        """The seed, in [0, 2**63), of whatever is random in the answer.

        A function of episode and query alone: batch, slot, worker and machine have no part in it.
        """
        digest = hashlib.blake2b(f"{self.task}/{self.seed}/{self.query}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1


class Agent(Protocol):
    """Anything that acts.

    Attributes:
        looks: Whether the agent sees images; nothing is rendered for one that does not.
    """

    looks: bool

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """For each observation the actions ``(n, A)`` to execute, in order, before the agent is asked again."""
        ...


class Actor(Protocol):
    """Anything that predicts chunks: a :class:`~la4vla.models.policy.Policy`, or one behind a wire."""

    def act(self, observations: Sequence[Observation], draws: Sequence[int] | None = None) -> list[ActionChunk]:
        """One chunk for each observation; ``draws`` seed what is random in each."""
        ...


class ChunkingAgent:
    """Executes the first ``replan_every`` actions of each chunk, then asks the policy again.

    Args:
        policy: Predicts the chunks.
        replan_every: Actions executed of each chunk, at least 1 and at most the policy's horizon.
        looks: Whether the policy is shown images.
    """

    def __init__(self, policy: Actor, replan_every: int, looks: bool = True) -> None:
        if replan_every < 1:
            raise ValueError(
                f"replan_every, the actions executed of each chunk, must be at least 1; got {replan_every}."
            )
        self.policy = policy
        self.replan_every = replan_every
        self.looks = looks

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """The first ``replan_every`` actions of one chunk for each observation.

        Raises:
            ValueError: If a chunk is shorter than ``replan_every``, or is meant for another embodiment.
        """
        chunks = self.policy.act(observations, [slot.draw for slot in slots])
        if len(chunks) != len(observations):
            raise ValueError(
                f"The policy was given {len(observations)} observations, but answered {len(chunks)} chunks."
            )
        return [self._begin(chunk, observation) for chunk, observation in zip(chunks, observations, strict=True)]

    def _begin(self, chunk: ActionChunk, observation: Observation) -> np.ndarray:
        if chunk.embodiment != observation.embodiment:
            raise ValueError(
                f"The observation is of embodiment {observation.embodiment!r}, the policy's chunk of "
                f"{chunk.embodiment!r}; evaluate a policy in a world it was trained for."
            )
        if len(chunk.actions) < self.replan_every:
            raise ValueError(
                f"replan_every is {self.replan_every}, but the policy's chunks hold {len(chunk.actions)} actions; "
                f"lower replan_every to at most {len(chunk.actions)}."
            )
        return chunk.actions[: self.replan_every]
