"""Meta-World's environments as a protocol wants them; small and picklable, so that rollout workers import no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from la4vla.schema.view import ViewProfile
from la4vla.simulators.metaworld import MetaworldEnvironment
from la4vla.simulators.metaworld_official import OfficialEnvironment

CORNER2_M = (1.3, -0.2, 1.1)  # where the package puts the camera that every view begins with


@dataclass(frozen=True)
class MetaworldWorlds:
    """Builds the environment of a task.

    Args:
        view: How images are made, or None for environments that never render.
        max_steps: Steps after which an episode is over.
        instructions: By task, what is said instead of the task's usual prompt.
        camera_shifts_m: By task, how far the camera at the corner is moved.
        goals: By task, placement vectors ``(n,)`` of the official client's episodes; an environment's seed is then the
            number of the episode. None places by seed.
    """

    view: ViewProfile | None
    max_steps: int
    instructions: Mapping[str, str] = field(default_factory=dict)
    camera_shifts_m: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    goals: Mapping[str, tuple[tuple[float, ...], ...]] | None = None

    def __call__(self, task: str) -> MetaworldEnvironment:
        """The environment of ``task``."""
        view = self._view(task)
        environment = (
            MetaworldEnvironment(task, view, self.max_steps)
            if self.goals is None
            else OfficialEnvironment(task, view, self.max_steps, self.goals[task])
        )
        if task in self.instructions:
            environment.task = environment.task._replace(instruction=self.instructions[task])
        return environment

    def _view(self, task: str) -> ViewProfile | None:
        if self.view is None or task not in self.camera_shifts_m:
            return self.view
        dx, dy, dz = self.camera_shifts_m[task]
        x, y, z = self.view.shots[0].position_m or CORNER2_M
        moved = replace(self.view.shots[0], position_m=(x + dx, y + dy, z + dz))
        return replace(self.view, shots=(moved, *self.view.shots[1:]))
