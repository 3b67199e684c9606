"""Meta-World MT50, or any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from la4vla.evaluation.outcomes import Outcome
from la4vla.evaluation.result import BenchmarkResult
from la4vla.rollout.agent import Actor, Agent, ChunkingAgent, Slot
from la4vla.rollout.progress import ProgressBar
from la4vla.rollout.runner import rollout
from la4vla.rollout.trajectory import Job, Trajectory
from la4vla.schema.observation import Observation
from la4vla.simulators.metaworld import METAWORLD, VIEWS, MetaworldEnvironment, MetaworldExpert
from la4vla.simulators.metaworld_tasks import TASKS, placement_seed, select_tasks


class MetaworldBenchmark:
    """Success on Meta-World tasks, over placements no demonstration has.

    A task's episodes have placements 0, 1, ... of its evaluation split: the same for every policy, so that policies
    can be compared episode by episode. An episode is a success if the simulator says so at any step.

    Args:
        tasks: Slugs of tasks, or the name of one selection: "all", "pretraining" or "held_out".
        episodes: Placements per task.
        view: Name of the view profile the policy was trained with, or None to run without images.
        max_steps: Actions after which an episode ends unsolved.
        replan_every: Actions executed of each chunk.
        processes: Worker processes for the simulators; 0 for none.
        environments: Episodes under way at once; the policy's batch is half of it.
        first_placement: Number of the first placement; change it for fresh ones.
        videos: Episodes filmed per task; needs a view.
        film_every: Steps between the frames of a film.
        progress: Whether a progress bar is drawn.

    Raises:
        ValueError: If a task, selection or view is unknown, or videos are wanted without a view.
    """

    name = "metaworld"

    def __init__(
        self,
        tasks: Sequence[str] | str = "all",
        episodes: int = 10,
        view: str | None = "evo1",
        max_steps: int = 400,
        replan_every: int = 15,
        processes: int = 2,
        environments: int = 16,
        first_placement: int = 0,
        videos: int = 0,
        film_every: int = 4,
        progress: bool = True,
    ) -> None:
        self.tasks = select_tasks(tasks)
        if view is not None and view not in VIEWS:
            raise ValueError(f"There is no view {view!r} of Meta-World; the views are {', '.join(VIEWS)}.")
        if videos and view is None:
            raise ValueError("Videos need images: name a view, or set videos to 0.")
        self.episodes = episodes
        self.view = view
        self.max_steps = max_steps
        self.replan_every = replan_every
        self.processes = processes
        self.environments = environments
        self.first_placement = first_placement
        self.videos = videos
        self.film_every = film_every
        self.progress = progress

    @property
    def jobs(self) -> list[Job]:
        """Every episode of the benchmark, task by task."""
        placements = range(self.first_placement, self.first_placement + self.episodes)
        return [
            Job(task, placement_seed("evaluation", task, index), film=index - self.first_placement < self.videos)
            for task in self.tasks
            for index in placements
        ]

    def run(self, policy: Actor, name: str = "policy") -> BenchmarkResult:
        """Run every episode with ``policy``, which the result calls ``name``."""
        return self.run_agent(ChunkingAgent(policy, self.replan_every, looks=self.view is not None), name)

    def run_agent(self, agent: Agent, name: str) -> BenchmarkResult:
        """Run every episode with any agent."""
        jobs = self.jobs
        view = VIEWS[self.view] if self.view is not None else None
        with ProgressBar(len(jobs), f"{self.name}: {name}", self.progress) as bar:
            trajectories = rollout(
                jobs,
                partial(MetaworldEnvironment, view=view, max_steps=self.max_steps),
                agent,
                max_steps=self.max_steps,
                processes=self.processes,
                environments=self.environments,
                film_every=self.film_every,
                watchers=[bar],
            )
        fps = METAWORLD.control_hz / self.film_every
        return BenchmarkResult(tuple(self._outcome(t, name) for t in trajectories), tuple(trajectories), fps)

    def _outcome(self, trajectory: Trajectory, policy: str) -> Outcome:
        return Outcome(
            benchmark=self.name,
            policy=policy,
            task=trajectory.task,
            group=TASKS[trajectory.task].group,
            seed=trajectory.seed,
            success=trajectory.success,
            steps=trajectory.steps,
        )


class ScriptedExpertAgent:
    """The package's scripted experts, one for each task: the ceiling over every success rate."""

    looks = False

    def __init__(self) -> None:
        self._experts: dict[str, MetaworldExpert] = {}

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """One action ``(1, 4)`` for each observation.

        Raises:
            ValueError: If an observation lacks the simulator's state.
        """
        return [self._act(observation, slot.task)[None] for observation, slot in zip(observations, slots, strict=True)]

    def _act(self, observation: Observation, task: str) -> np.ndarray:
        if observation.privileged is None:
            raise ValueError(f"The scripted expert of {task!r} reads the simulator's state; this observation has none.")
        expert = self._experts.setdefault(task, MetaworldExpert(task))
        return expert.act(observation.privileged)
