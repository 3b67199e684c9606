"""The placements of the evaluation client that the Evo-1, StarVLA and LA4VLA rows on Meta-World were made with.

That client seeds one random task selector per environment with 4042 and never again, so that all tasks go through the
same sequence of their 50 goals, drawn with replacement: of its ten episodes two repeat the goal of an earlier one. Our
own placements differ in every episode; these exist to stand beside published rows.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from la4vla.schema.observation import Observation
from la4vla.schema.view import ViewProfile
from la4vla.simulators.metaworld import MetaworldEnvironment

OFFICIAL_SEED = 4042
GOALS = 50  # per task, of which an episode draws one


def goal_indices(episodes: int, seed: int = OFFICIAL_SEED) -> list[int]:
    """Which of a task's 50 goals each of the first ``episodes`` episodes has; the same for every task."""
    random = np.random.default_rng(seed)
    return [int(random.choice(GOALS)) for _ in range(episodes)]


@cache
def official_goals(episodes: int, seed: int = OFFICIAL_SEED) -> dict[str, tuple[tuple[float, ...], ...]]:
    """By task, the placement vectors of its first ``episodes`` episodes.

    The package draws all goals of all tasks from one stream while resetting each environment 50 times, so this takes
    half a minute or more; the process's own random numbers are left alone.
    """
    from metaworld import MT50

    benchmark: Any = MT50  # the package has no types
    goals: dict[str, list[np.ndarray]] = {}
    for task in benchmark(seed=seed).train_tasks:
        goals.setdefault(task.env_name.removesuffix("-v3"), []).append(pickle.loads(task.data)["rand_vec"])
    chosen = goal_indices(episodes, seed)
    return {task: tuple(tuple(map(float, vectors[index])) for index in chosen) for task, vectors in goals.items()}


class OfficialEnvironment(MetaworldEnvironment):
    """A task placed as in the official client, with the step of zero action that it takes after each reset.

    Args:
        task: Slug of the task.
        view: How images are made, or None.
        max_steps: Steps after which an episode is over, the zero action not counted.
        goals: Placement vectors of the episodes, in order.

    Raises:
        ValueError: If ``max_steps`` leaves no room for the zero action.
    """

    def __init__(self, task: str, view: ViewProfile | None, max_steps: int, goals: Sequence[Sequence[float]]) -> None:
        super().__init__(task, view, max_steps + 1)
        self.max_steps = max_steps
        self.goals = goals

    def reset(self, seed: int, look: bool = True) -> Observation:
        """Start episode number ``seed``.

        Raises:
            LookupError: If there is no such episode.
        """
        if not 0 <= seed < len(self.goals):
            raise LookupError(
                f"The official client's episodes are numbered 0..{len(self.goals) - 1} here, there is no {seed}."
            )
        self._simulator._freeze_rand_vec = True
        self._simulator._last_rand_vec = np.asarray(self.goals[seed])
        super().reset(seed, look=False)
        self.step(np.zeros(4, dtype=np.float32), look=False)
        self.steps = 0
        return self.look() if look else self._observe({})
