"""A world with Meta-World's body in which nothing happens, and which draws from every global generator it can find."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from la4vla.evaluation.benchmark import Benchmark
from la4vla.rollout.trajectory import Job
from la4vla.schema.observation import Observation, Step
from la4vla.simulators.metaworld import METAWORLD


class StillWorld:
    """Solved at the second step of even seeds."""

    embodiment = METAWORLD

    def __init__(self, task: str) -> None:
        self.task = task

    def reset(self, seed: int) -> Observation:
        random.random(), np.random.rand(), torch.rand(1)
        self.seed, self.steps = seed, 0
        return self.look()

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        self.steps += 1
        return Step(self.look(), self.seed % 2 == 0 and self.steps == 2, False, action)

    def look(self) -> Observation:
        return Observation(np.zeros(4, dtype=np.float32), "Stay where you are", METAWORLD.name, {})

    def close(self) -> None:
        pass


class StillBenchmark(Benchmark):
    """Four episodes without images; says in ``diary`` how often it was run."""

    name = "still"
    embodiment = METAWORLD
    tasks = ("still",)

    def __init__(self, diary: str, replan_every: int = 1) -> None:
        super().__init__(None, 3, replan_every, 0, 4, 0, 1, 1, progress=False)
        self.diary = Path(diary)

    @property
    def jobs(self):
        with self.diary.open("a") as file:
            file.write("run\n")
        return [Job("still", seed) for seed in range(4)]

    @property
    def settings(self):
        return {}

    def worlds(self, disturbance):
        return StillWorld
