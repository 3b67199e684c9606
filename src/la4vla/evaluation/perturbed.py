"""Any environment, with what it shows disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from la4vla.evaluation.perturbations import Disturbance
from la4vla.rollout.environment import Environment
from la4vla.rollout.stage import MakeEnvironment
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation, Step


@dataclass(frozen=True)
class PerturbedWorlds:
    """A factory of environments that are perturbed; small and picklable, as rollout workers want it.

    Args:
        make_environment: The undisturbed factory.
        disturbance: What disturbs, and how much.
        distractors: By task, the instructions of other tasks in its scene.
    """

    make_environment: MakeEnvironment
    disturbance: Disturbance
    distractors: dict[str, tuple[str, ...]]

    def __call__(self, task: str) -> Environment:
        """The perturbed environment of ``task``."""
        return PerturbedEnvironment(self.make_environment(task), self.disturbance, self.distractors.get(task, ()))


class PerturbedEnvironment:
    """An environment whose observations are disturbed; what happens in it is not.

    Args:
        environment: The undisturbed one.
        disturbance: What disturbs, and how much.
        distractors: Instructions of other tasks in the same scene.
    """

    def __init__(self, environment: Environment, disturbance: Disturbance, distractors: Sequence[str] = ()) -> None:
        self.environment = environment
        self.embodiment: Embodiment = environment.embodiment
        self.disturbance = disturbance
        self.distractors = distractors
        self.seed = 0
        self.steps = 0

    def reset(self, seed: int) -> Observation:
        """Begin a new episode."""
        self.seed, self.steps = seed, 0
        return self._disturbed(self.environment.reset(seed))

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        """Execute one action."""
        step = self.environment.step(action, look)
        self.steps += 1
        return replace(step, observation=self._disturbed(step.observation))

    def look(self) -> Observation:
        """The present moment, disturbed as it was before."""
        return self._disturbed(self.environment.look())

    def close(self) -> None:
        """Close the undisturbed environment."""
        self.environment.close()

    def _disturbed(self, observation: Observation) -> Observation:
        perturbation, level = self.disturbance
        stream = self.disturbance.stream(self.seed)

        def episode() -> np.random.Generator:
            return np.random.default_rng(stream)

        images = {
            camera: perturbation.image(image, level, episode(), np.random.default_rng((*stream, self.steps, index)))
            for index, (camera, image) in enumerate(observation.images.items())
        }
        instruction = perturbation.instruction(observation.instruction, level, episode(), self.distractors)
        return replace(observation, images=images, instruction=instruction)
