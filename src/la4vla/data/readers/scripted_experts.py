"""Demonstrations of a simulator's scripted experts, simulated on demand."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from la4vla.data.readers.base import Key, Reader
from la4vla.schema.episode import Episode
from la4vla.schema.observation import Observation, Step
from la4vla.schema.view import ViewProfile
from la4vla.simulators.metaworld_tasks import placement_seed


class Expert(Protocol):
    """Who demonstrates."""

    def act(self, privileged: np.ndarray) -> np.ndarray:
        """The action ``(A,)`` in a state of the simulator."""
        ...


class Stage(Protocol):
    """The simulator as its experts need it."""

    max_steps: int

    def reset(self, seed: int, look: bool = True) -> Observation:
        """Begin an episode."""
        ...

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        """Execute one action."""
        ...

    def look(self) -> Observation:
        """The present moment, with its frames."""
        ...

    def close(self) -> None:
        """Free the simulator."""
        ...

    @property
    def privileged(self) -> np.ndarray:
        """The simulator's state."""
        ...


class ScriptedExperts(Reader):
    """Reads the demonstration ``(task, index)`` by simulating it; a subclass knows the simulator and its experts.

    A demonstration's placement, noise and attempts depend on its task and index alone. A failed one is dropped,
    counted, and tried again from another placement, so that the number asked for is met.

    Args:
        view: How frames are made.
        tasks: Slugs of tasks.
        episodes: Demonstrations per task.
        frame_every: A frame is rendered every so many steps.
        action_noise: Standard deviation of the Gaussian noise added to the executed translation, in units of the
            action. What is recorded is the expert's clean command in the state the noise led to, so that the policy
            learns to correct its own errors (DART, Laskey et al. 2017, arXiv:1703.09327).
        linger_steps: Steps kept after the first success.
        max_steps: Steps without success after which a demonstration has failed.
        attempts: Placements tried for one demonstration before giving up.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        view: ViewProfile,
        tasks: tuple[str, ...],
        episodes: int,
        frame_every: int,
        action_noise: float,
        linger_steps: int,
        max_steps: int,
        attempts: int,
    ) -> None:
        if min(episodes, frame_every, max_steps, attempts) < 1 or linger_steps < 0 or action_noise < 0:
            raise ValueError(
                "episodes, frame_every, max_steps and attempts must be at least 1, linger_steps and action_noise at "
                f"least 0, got {episodes}, {frame_every}, {max_steps}, {attempts}, {linger_steps} and {action_noise}."
            )
        self.view: ViewProfile | None = view
        self.tasks = tasks
        self.episodes = episodes
        self.frame_every = frame_every
        self.action_noise = action_noise
        self.linger_steps = linger_steps
        self.max_steps = max_steps
        self.attempts = attempts
        self._open: tuple[str, Stage] | None = None

    @abstractmethod
    def selected(self, tasks: str | Sequence[str]) -> tuple[str, ...]:
        """The tasks that a selection means."""

    @abstractmethod
    def stage(self, task: str, max_steps: int) -> Stage:
        """A simulator of ``task``."""

    @abstractmethod
    def expert(self, task: str, attempt: int) -> Expert:
        """A fresh expert of ``task``; ``attempt`` counts from 0."""

    @abstractmethod
    def instruction(self, task: str) -> str:
        """What the expert of ``task`` was asked to do."""

    def gave_up(self, expert: Expert) -> bool:
        """Whether what ``expert`` did is no example to follow, however it ends."""
        return False

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[Key]:
        """The demonstrations of a selection of this reader's tasks, ``(task, index)``, task by task.

        Raises:
            ValueError: If a selected task or number of episodes is not among what this reader reads.
        """
        selected = self.selected(tasks)
        missing = sorted(set(selected) - set(self.tasks))
        if missing or not selected:
            raise ValueError(
                f"The reader's tasks do not include {', '.join(missing) or tasks}; add them to its `tasks`."
            )
        if episodes is not None and not 1 <= episodes <= self.episodes:
            raise ValueError(f"An export wants {episodes} episodes a task, the reader reads {self.episodes}.")
        return [(task, index) for task in selected for index in range(episodes or self.episodes)]

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
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
            self._open[1].close()
            self._open = None

    def _stage(self, task: str) -> Stage:
        if self._open is None or self._open[0] != task:
            self.close()
            self._open = task, self.stage(task, self.max_steps + self.linger_steps)
        return self._open[1]

    def _demonstrate(self, task: str, index: int, attempt: int, frames: bool) -> Episode | None:
        stage, expert = self._stage(task), self.expert(task, attempt)
        seed = placement_seed("demonstration", task, index, attempt)
        noise = np.random.default_rng(seed).normal(0.0, self.action_noise, (stage.max_steps, 3))
        proprioception: list[np.ndarray] = []
        privileged: list[np.ndarray] = []
        actions: list[np.ndarray] = []
        images: dict[str, list[np.ndarray]] = {}
        solved_at: int | None = None
        observation = stage.reset(seed, look=False)
        while len(actions) < (self.max_steps if solved_at is None else solved_at + self.linger_steps):
            if frames and len(actions) % self.frame_every == 0:
                for camera, image in stage.look().images.items():
                    images.setdefault(camera, []).append(image)
            proprioception.append(observation.proprioception)
            privileged.append(stage.privileged)
            actions.append(expert.act(privileged[-1]))
            executed = actions[-1] + np.pad(noise[len(actions) - 1], (0, len(actions[-1]) - 3))
            step = stage.step(executed, look=False)
            observation = step.observation
            if step.success and solved_at is None:
                solved_at = len(actions)
            if self.gave_up(expert):
                return None
        if solved_at is None:
            return None
        return Episode(
            key=f"{task}-{index:04d}",
            task=task,
            instruction=self.instruction(task),
            embodiment=self.embodiment,
            proprioception=np.stack(proprioception),
            actions=np.stack(actions),
            frames=images,
            frame_steps=np.arange(0, len(actions) if frames else 0, self.frame_every, dtype=np.int64),
            privileged=np.stack(privileged).astype(np.float32),
        )
