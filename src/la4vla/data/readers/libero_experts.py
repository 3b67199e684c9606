"""Demonstrations of LIBERO's scripted expert, simulated on demand."""

from __future__ import annotations

from collections.abc import Sequence

from la4vla.data.readers.scripted_experts import Expert, ScriptedExperts
from la4vla.schema.embodiment import Embodiment
from la4vla.simulators.libero import LiberoEnvironment
from la4vla.simulators.libero_body import LIBERO, VIEWS
from la4vla.simulators.libero_expert import LiberoExpert
from la4vla.simulators.libero_tasks import TASKS, select_tasks


class LiberoExperts(ScriptedExperts):
    """Reads the demonstration ``(task, index)`` by simulating it.

    Placements are drawn by the package's own samplers, from the same regions as its official initial states and never
    equal to one of them. A demonstration's placement, noise and attempts depend on its task and index alone. One that
    failed, or whose first grasp did, is dropped, counted, and tried again from another placement with another grasp, so
    that the number asked for is met.

    Args:
        view: Name of the view profile of the frames.
        tasks: One or several of ``"spatial"``, ``"object"`` and slugs of tasks that put one thing into or onto another.
        episodes: Demonstrations per task.
        frame_every: A frame is rendered every so many steps.
        action_noise: Standard deviation of the Gaussian noise added to the executed translation, in units of the
            action. What is recorded is the expert's clean command in the state the noise led to, so that the policy
            learns to correct its own errors (DART, Laskey et al. 2017, arXiv:1703.09327).
        linger_steps: Steps kept after the first success, which comes before the hand lets go.
        max_steps: Steps without success after which a demonstration has failed.
        attempts: Placements tried for one demonstration before giving up.

    Raises:
        ValueError: If the view or a task is unknown, or a number is out of range.
    """

    embodiment: Embodiment = LIBERO

    def __init__(
        self,
        view: str = "libero_64",
        tasks: str | list[str] = "object",
        episodes: int = 10,
        frame_every: int = 1,
        action_noise: float = 0.0,
        linger_steps: int = 24,
        max_steps: int = 220,
        attempts: int = 10,
    ) -> None:
        if view not in VIEWS:
            raise ValueError(f"LIBERO has no view {view!r}; the views are {', '.join(VIEWS)}.")
        super().__init__(
            VIEWS[view], select_tasks(tasks), episodes, frame_every, action_noise, linger_steps, max_steps, attempts
        )

    def selected(self, tasks: str | Sequence[str]) -> tuple[str, ...]:
        """The tasks that a selection means; the name of a suite means those of its tasks that this reader reads."""
        chosen = select_tasks(tasks)
        if isinstance(tasks, str) and tasks not in TASKS:
            chosen = tuple(task for task in chosen if task in self.tasks)
        return chosen

    def stage(self, task: str, max_steps: int) -> LiberoEnvironment:
        """A simulator of ``task`` with placements of its own."""
        return LiberoEnvironment(task, self.view, max_steps=max_steps, placements="sampled")

    def expert(self, task: str, attempt: int) -> LiberoExpert:
        """The expert, which begins each attempt with another grasp."""
        return LiberoExpert(first_grasp=attempt)

    def instruction(self, task: str) -> str:
        """The instruction of ``task``."""
        return TASKS[task].instruction

    def gave_up(self, expert: Expert) -> bool:
        """Whether a grasp failed: a good example of nothing."""
        return isinstance(expert, LiberoExpert) and bool(expert.failed_grasps)
