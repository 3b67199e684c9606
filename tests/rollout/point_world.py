"""A tiny real world: a point in a cube that must reach a goal, and a policy that knows the way."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import ActionChunk, Observation, Step

POINT = Embodiment(
    name="point",
    proprioception=("x_m", "y_m", "z_m"),
    actions=("dx_m", "dy_m", "dz_m"),
    cameras=("top",),
    control_hz=10.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    forward=(1.0, 0.0, 0.0),
    left=(0.0, 1.0, 0.0),
    up=(0.0, 0.0, 1.0),
    action_form="increment",
)


class PointWorld:
    """Task "near" has its goal half as far away as task "far"; "moody" breaks at step 3 of seeds divisible by 3."""

    embodiment = POINT

    def __init__(self, task: str, images: bool = True) -> None:
        self.task = task
        self.images = images
        self.steps = 0
        self.renders = 0
        self.place = self.goal = np.zeros(3)

    def reset(self, seed: int) -> Observation:
        random = np.random.default_rng(seed)
        self.steps = 0
        self.seed = seed
        self.place = random.uniform(-0.5, 0.5, 3)
        way = random.normal(size=3)
        self.goal = self.place + way / np.linalg.norm(way) * (0.5 if self.task == "near" else 1.0)
        return self.look()

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        if self.task == "moody" and self.seed % 3 == 0 and self.steps == 3:
            raise ArithmeticError("the point is in a mood")
        if self.task == "deadly" and self.seed == 2:
            os._exit(7)
        executed = np.clip(action, -0.1, 0.1).astype(np.float32)
        self.place = self.place + executed
        self.steps += 1
        success = bool(np.linalg.norm(self.place - self.goal) < 0.05)
        return Step(self._observe(look), success, success, executed)

    def look(self) -> Observation:
        return self._observe(True)

    def close(self) -> None:
        self.task = "closed"

    def _observe(self, look: bool) -> Observation:
        images = {}
        if look and self.images:
            self.renders += 1
            image = np.zeros((16, 16, 3), dtype=np.uint8)
            row, column = np.clip((self.place[:2] + 2) * 4, 0, 15).astype(int)
            image[row, column] = 255
            images = {"top": image}
        return Observation(
            proprioception=self.place.astype(np.float32),
            instruction=f"Go {self.task}",
            embodiment="point",
            images=images,
            view="top" if images else None,
            privileged=self.goal - self.place,
        )


class Seeker:
    """A policy of horizon 8 that walks toward the goal with some noise; it counts what it was asked."""

    def __init__(self, noise: float = 0.01) -> None:
        self.noise = noise
        self.batches: list[int] = []
        self.draws: list[int] = []
        self.saw: list[bool] = []

    def act(self, observations: Sequence[Observation], draws: Sequence[int] | None = None) -> list[ActionChunk]:
        assert draws is not None
        self.batches.append(len(observations))
        self.draws += draws
        self.saw += [bool(observation.images) for observation in observations]
        return [self._chunk(o, np.random.default_rng(draw)) for o, draw in zip(observations, draws, strict=True)]

    def _chunk(self, observation: Observation, random: np.random.Generator) -> ActionChunk:
        assert observation.privileged is not None
        increments = np.repeat(observation.privileged[None] / 8, 8, axis=0)
        noise = random.normal(scale=self.noise, size=(8, 3))
        return ActionChunk((increments + noise).astype(np.float32), observation.embodiment)
