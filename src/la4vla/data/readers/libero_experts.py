"""Demonstrations of LIBERO's scripted expert, simulated on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from la4vla.data.readers.base import Reader
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode
from la4vla.schema.view import ViewProfile
from la4vla.simulators.libero import LiberoEnvironment
from la4vla.simulators.libero_body import LIBERO, VIEWS
from la4vla.simulators.libero_expert import LiberoExpert
from la4vla.simulators.libero_tasks import TASKS, select_tasks
from la4vla.simulators.metaworld_tasks import placement_seed


class LiberoExperts(Reader):
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
        if min(episodes, frame_every, max_steps, attempts) < 1 or linger_steps < 0 or action_noise < 0:
            raise ValueError(
                "episodes, frame_every, max_steps and attempts must be at least 1, linger_steps and action_noise at "
                f"least 0, got {episodes}, {frame_every}, {max_steps}, {attempts}, {linger_steps} and {action_noise}."
            )
        self.view: ViewProfile | None = VIEWS[view]
        self.tasks = select_tasks(tasks)
        self.episodes = episodes
        self.frame_every = frame_every
        self.action_noise = action_noise
        self.linger_steps = linger_steps
        self.max_steps = max_steps
        self.attempts = attempts
        self._open: LiberoEnvironment | None = None

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[tuple[str, int]]:
        """The demonstrations of a selection of this reader's tasks, ``(task, index)``, task by task.

        The name of a suite selects those of its tasks that this reader reads.

        Raises:
            ValueError: If a selected task or number of episodes is not among what this reader reads.
        """
        selected = select_tasks(tasks)
        if isinstance(tasks, str) and tasks not in TASKS:
            selected = tuple(task for task in selected if task in self.tasks)
        missing = sorted(set(selected) - set(self.tasks))
        if missing or not selected:
            raise ValueError(
                f"The reader's tasks do not include {', '.join(missing) or tasks}; add them to its `tasks`."
            )
        if episodes is not None and not 1 <= episodes <= self.episodes:
            raise ValueError(f"An export wants {episodes} episodes a task, the reader reads {self.episodes}.")
        return [(task, index) for task in selected for index in range(episodes or self.episodes)]

    def read(self, key: tuple[str, int], frames: bool, dropped: Counter[str]) -> Episode:
        """Simulate one demonstration, with its frames or without; failed attempts are counted in ``dropped``.

        Raises:
            ValueError: If every attempt failed.
        """
        task, index = key
        for attempt in range(self.attempts):
            episode = self._demonstrate(task, index, attempt, frames)
            if episode is not None:
                return episode
            dropped["expert failed"] += 1
        raise ValueError(
            f"The expert failed {self.attempts} times in a row at {task} number {index}: "
            f"lower action_noise ({self.action_noise}), raise max_steps ({self.max_steps}), or leave the task out."
        )

    def close(self) -> None:
        """Free the simulator."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _environment(self, task: str) -> LiberoEnvironment:
        if self._open is None or self._open.task.name != task:
            self.close()
            longest = self.max_steps + self.linger_steps
            self._open = LiberoEnvironment(task, self.view, max_steps=longest, placements="sampled")
        return self._open

    def _demonstrate(self, task: str, index: int, attempt: int, frames: bool) -> Episode | None:
        environment, expert = self._environment(task), LiberoExpert(first_grasp=attempt)
        seed = placement_seed("demonstration", task, index, attempt)
        noise = np.random.default_rng(seed).normal(0.0, self.action_noise, (environment.max_steps, 3))
        proprioception: list[np.ndarray] = []
        privileged: list[np.ndarray] = []
        actions: list[np.ndarray] = []
        images: dict[str, list[np.ndarray]] = {camera: [] for camera in LIBERO.cameras} if frames else {}
        solved_at: int | None = None
        observation = environment.reset(seed, look=False)
        while len(actions) < (self.max_steps if solved_at is None else solved_at + self.linger_steps):
            if frames and len(actions) % self.frame_every == 0:
                for camera, image in environment.look().images.items():
                    images[camera].append(image)
            proprioception.append(observation.proprioception)
            privileged.append(environment.privileged)
            actions.append(expert.act(privileged[-1]))
            executed = actions[-1].copy()
            executed[:3] += noise[len(actions) - 1]
            step = environment.step(executed, look=False)
            observation = step.observation
            if step.success and solved_at is None:
                solved_at = len(actions)
            if expert.failed_grasps:
                return None  # a good example of nothing: the next attempt begins with another grasp
        if solved_at is None:
            return None
        return Episode(
            key=f"{task}-{index:04d}",
            task=task,
            instruction=TASKS[task].instruction,
            embodiment=LIBERO,
            proprioception=np.stack(proprioception),
            actions=np.stack(actions),
            frames=images,
            frame_steps=np.arange(0, len(actions) if frames else 0, self.frame_every, dtype=np.int64),
            privileged=np.stack(privileged).astype(np.float32),
        )
