"""Demonstrations of Meta-World's scripted experts, simulated on demand."""

from __future__ import annotations

from collections.abc import Sequence

from la4vla.data.readers.scripted_experts import ScriptedExperts
from la4vla.schema.embodiment import Embodiment
from la4vla.simulators.metaworld import MAX_STEPS, METAWORLD, VIEWS, MetaworldEnvironment, MetaworldExpert
from la4vla.simulators.metaworld_tasks import TASKS, select_tasks


class MetaworldExperts(ScriptedExperts):
    """Reads the demonstration ``(task, index)`` by simulating it.

    A demonstration's placement, noise and attempts depend on its task and index alone. A failed one is dropped,
    counted, and tried again from another placement, so that the number asked for is met.

    Args:
        view: Name of the view profile of the frames.
        tasks: ``"all"``, ``"pretraining"``, ``"held_out"``, or slugs of tasks.
        episodes: Demonstrations per task.
        frame_every: A frame is rendered every so many steps; neighbours differ little at 80 Hz.
        action_noise: Standard deviation of the Gaussian noise added to the executed translation, in units of the
            action. What is recorded is the expert's clean command in the state the noise led to, so that the policy
            learns to correct its own errors (DART, Laskey et al. 2017, arXiv:1703.09327). The gripper gets none: an
            object dropped by chance ends most experts' plans.
        linger_steps: Steps kept after the first success, so that the policy learns to stay.
        max_steps: Steps without success after which a demonstration has failed.
        attempts: Placements tried for one demonstration before giving up.

    Raises:
        ValueError: If the view or a task is unknown, or a number is out of range.
    """

    embodiment: Embodiment = METAWORLD

    def __init__(
        self,
        view: str = "evo1_64",
        tasks: str | list[str] = "all",
        episodes: int = 10,
        frame_every: int = 1,
        action_noise: float = 0.0,
        linger_steps: int = 8,
        max_steps: int = 300,
        attempts: int = 10,
    ) -> None:
        if view not in VIEWS:
            raise ValueError(f"Meta-World has no view {view!r}; the views are {', '.join(VIEWS)}.")
        if max_steps + linger_steps > MAX_STEPS:
            raise ValueError(
                f"max_steps and linger_steps together must not exceed {MAX_STEPS}, where the package stops."
            )
        super().__init__(
            VIEWS[view], select_tasks(tasks), episodes, frame_every, action_noise, linger_steps, max_steps, attempts
        )

    def selected(self, tasks: str | Sequence[str]) -> tuple[str, ...]:
        """The tasks that a selection means; ``"all"`` are those of this reader."""
        return self.tasks if tasks == "all" else select_tasks(tasks)

    def stage(self, task: str, max_steps: int) -> MetaworldEnvironment:
        """A simulator of ``task``."""
        return MetaworldEnvironment(task, self.view, max_steps)

    def expert(self, task: str, attempt: int) -> MetaworldExpert:
        """The package's expert of ``task``."""
        return MetaworldExpert(task)

    def instruction(self, task: str) -> str:
        """The instruction of ``task``."""
        return TASKS[task].instruction
