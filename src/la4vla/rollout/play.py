"""One episode under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from la4vla.rollout.environment import Environment
from la4vla.rollout.trajectory import Job, Trajectory
from la4vla.schema.observation import Observation

FILM_PX = 256  # larger frames are thinned: the films of fifty tasks stay in memory until they are written

Answer = Observation | Trajectory


class Rules(NamedTuple):
    """What holds for every episode of a rollout.

    Attributes:
        max_steps: Actions after which an episode ends unsolved.
        looks: Whether the agent sees images.
        film_every: Steps between the frames of a filmed episode.
    """

    max_steps: int
    looks: bool
    film_every: int


class Play:
    """One episode under way in one environment; ``beat`` is called whenever the environment has taken a step."""

    def __init__(
        self, job: Job, environment: Environment, rules: Rules, beat: Callable[[], None] = lambda: None
    ) -> None:
        self.job = job
        self.environment = environment
        self.rules = rules
        self.beat = beat
        self.steps = 0
        self.instruction = ""
        self.actions: list[np.ndarray] = []
        self.proprioception: list[np.ndarray] = []
        self.frames: list[np.ndarray] = []
        self.frame_steps: list[int] = []

    def start(self) -> Observation:
        """Reset the environment."""
        observation = self.environment.reset(self.job.seed)
        self.instruction = observation.instruction
        self.proprioception.append(observation.proprioception)
        if self.job.film:
            self._film(observation)
        return observation

    def advance(self, actions: np.ndarray) -> Answer:
        """Execute ``actions`` until they or the episode end; only frames that someone will see are rendered."""
        for left in range(len(actions) - 1, -1, -1):
            self.steps += 1
            timeout = self.steps >= self.rules.max_steps
            filmed = self.job.film and self.steps % self.rules.film_every == 0
            seen = self.rules.looks and left == 0 and not timeout
            step = self.environment.step(actions[-1 - left], look=filmed or seen)
            self.beat()
            self.actions.append(step.executed)
            self.proprioception.append(step.observation.proprioception)
            over = step.success or step.done or timeout
            if filmed:
                self._film(step.observation)
            elif over and self.job.film:
                self._film(self.environment.look())
            if over:
                return self._trajectory(step.success)
        return step.observation

    def _film(self, observation: Observation) -> None:
        images = list(observation.images.values())
        if images:
            every = -(-len(images[0]) // FILM_PX)
            self.frames.append(np.concatenate(images, axis=1)[::every, ::every])
            self.frame_steps.append(self.steps)

    def _trajectory(self, success: bool) -> Trajectory:
        return Trajectory(
            task=self.job.task,
            seed=self.job.seed,
            success=bool(success),
            steps=self.steps,
            actions=np.asarray(self.actions, dtype=np.float32),
            proprioception=np.asarray(self.proprioception, dtype=np.float32),
            frames=self.frames,
            frame_steps=self.frame_steps,
            instruction=self.instruction,
        )
