"""A benchmark in the tiny point world, and a tiny real policy for it."""

from __future__ import annotations

import numpy as np
import torch
from point_world import POINT, PointWorld

from la4vla.evaluation.benchmark import Benchmark
from la4vla.evaluation.perturbations import Disturbance
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.rollout.trajectory import Job
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import Shot, ViewProfile

GROUPS = {"near": "easy", "far": "hard"}
TOP = ViewProfile("top", (Shot("top", 16),), size_px=16)


class PointBenchmark(Benchmark):
    """Two tasks of a few episodes."""

    name = "point"
    embodiment = POINT

    def __init__(
        self,
        tasks: list[str] | None = None,
        episodes: int = 3,
        view: str | None = "top",
        max_steps: int = 30,
        replan_every: int = 5,
        processes: int = 0,
        videos: int = 0,
        attempts: int = 3,
    ) -> None:
        super().__init__(view, max_steps, replan_every, processes, 4, videos, 4, attempts, progress=False)
        self.tasks = tuple(tasks or GROUPS)
        self.episodes = episodes

    @property
    def jobs(self):
        return [Job(task, seed, film=seed < self.videos) for task in self.tasks for seed in range(self.episodes)]

    @property
    def settings(self):
        return {"tasks": self.tasks, "episodes": self.episodes, "view": self.view, "max_steps": self.max_steps}

    def worlds(self, disturbance: Disturbance | None):
        return PointWorld

    def group(self, task):
        return GROUPS.get(task, "")

    def distractors(self, task):
        return tuple(f"Go {other}" for other in GROUPS if other != task) if task in GROUPS else ()


def tiny_policy(embodiment: Embodiment = POINT, view: ViewProfile | None = TOP) -> Policy:
    """An untrained policy of horizon 8 for ``embodiment``."""
    torch.manual_seed(0)
    dims = len(embodiment.actions)
    one = np.ones(dims)
    unit = Statistics(minimum=-one, maximum=one, mean=0 * one, std=one, q01=-one, q99=one, count=9)
    backbone = InternVL3("tiny", vision_layers=1, language_layers=1)
    head = FlowMatchingHead(backbone.width, horizon=8, layers=1, heads=2, hidden=16, integration_steps=2)
    return Policy(backbone, head, [Domain(embodiment, view, unit, unit)])
