"""Meta-World MT50, or any part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from la4vla.data.shards import Shards
from la4vla.evaluation.benchmark import Benchmark
from la4vla.evaluation.perturbations import Disturbance
from la4vla.evaluation.suitability import check_episodes
from la4vla.rollout.agent import Agent, Slot
from la4vla.rollout.replay_agent import ReplayAgent
from la4vla.rollout.trajectory import Job
from la4vla.rollout.workers import TIMEOUT_S
from la4vla.schema.observation import Observation
from la4vla.simulators.metaworld import METAWORLD, VIEWS, MetaworldExpert
from la4vla.simulators.metaworld_official import official_goals
from la4vla.simulators.metaworld_tasks import (
    LEROBOT_INSTRUCTIONS,
    TASKS,
    placement_seed,
    scene_mates,
    select_tasks,
)
from la4vla.simulators.metaworld_worlds import MetaworldWorlds

Placements = Literal["evaluation", "demonstration", "official"]
Prompts = Literal["evo1", "lerobot"]


class MetaworldBenchmark(Benchmark):
    """Success on Meta-World tasks, over placements no demonstration has.

    A task's episodes have placements 0, 1, ... of its evaluation split: the same for every policy, so that policies
    can be compared episode by episode. An episode is a success if the simulator says so at any step.

    Args:
        tasks: Slugs of tasks, or the name of one selection: "all", "pretraining", "held_out" or "shared_scenes".
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
        attempts: How often one episode may be begun, should its simulator's process die or hang.
        timeout_s: Seconds that one step or reset of a simulator may take before its process counts as hung.
        placements: "evaluation" for placements of our own, all different; "official" for those of the Evo-1 and LA4VLA
            client, of whose ten episodes a task eight differ; "demonstration" for those the demonstrations have.
        prompts: Whose instructions are given; "lerobot" differs from "evo1" in push-back alone.
        demonstrations: A shard set of whole episodes on these placements, for the agent ``replay``.

    Raises:
        ValueError: If a task, selection or view is unknown, there are no episodes, or videos are wanted without a view.
    """

    name = "metaworld"
    embodiment = METAWORLD

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
        attempts: int = 3,
        timeout_s: float = TIMEOUT_S,
        placements: Placements = "evaluation",
        prompts: Prompts = "evo1",
        demonstrations: str | None = None,
    ) -> None:
        super().__init__(
            view, max_steps, replan_every, processes, environments, videos, film_every, attempts, progress, timeout_s
        )
        self.tasks = select_tasks(tasks)
        check_episodes(self.tasks, episodes, first_placement)
        if view is not None and view not in VIEWS:
            raise ValueError(f"There is no view {view!r} of Meta-World; the views are {', '.join(VIEWS)}.")
        for word, words in ((placements, get_args(Placements)), (prompts, get_args(Prompts))):
            if word not in words:
                raise ValueError(f"There is no {word!r} here; choose one of {', '.join(words)}.")
        self.episodes = episodes
        self.first_placement = first_placement
        self.placements = placements
        self.prompts = prompts
        self.demonstrations = demonstrations

    @property
    def jobs(self) -> list[Job]:
        """Every episode of the benchmark, task by task."""
        return [
            Job(task, self._seed(task, index), film=index - self.first_placement < self.videos)
            for task in self.tasks
            for index in self._indices
        ]

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides outcomes; the view tells whether shadows are rendered."""
        return {
            "tasks": list(self.tasks),
            "episodes": self.episodes,
            "first_placement": self.first_placement,
            "placements": self.placements,
            "prompts": self.prompts,
            "view": VIEWS[self.view].to_json() if self.view is not None else None,
            "max_steps": self.max_steps,
            "replan_every": self.replan_every,
        }

    def worlds(self, disturbance: Disturbance | None) -> MetaworldWorlds:
        """The factory of environments."""
        return MetaworldWorlds(
            view=VIEWS[self.view] if self.view is not None else None,
            max_steps=self.max_steps,
            instructions=LEROBOT_INSTRUCTIONS if self.prompts == "lerobot" else {},
            camera_shifts_m=self.camera_shifts_m(disturbance),
            goals=official_goals(self._indices.stop) if self.placements == "official" else None,
        )

    def group(self, task: str) -> str:
        """The difficulty of ``task``."""
        return TASKS[task].group

    def distractors(self, task: str) -> tuple[str, ...]:
        """Instructions of the other tasks in the scene of ``task``."""
        return tuple(TASKS[mate].instruction for mate in scene_mates(task))

    def agents(self) -> Mapping[str, Callable[[], Agent]]:
        """Random, zero, the scripted experts, and the replay of ``demonstrations``."""
        return {**super().agents(), "expert": ScriptedExpertAgent, "replay": self._replay}

    @property
    def _indices(self) -> range:
        return range(self.first_placement, self.first_placement + self.episodes)

    def _seed(self, task: str, index: int) -> int:
        if self.placements == "official":
            return index
        return placement_seed("demonstration" if self.placements == "demonstration" else "evaluation", task, index)

    def _replay(self) -> ReplayAgent:
        if self.demonstrations is None or self.placements != "demonstration":
            raise ValueError(
                "A replay needs the demonstrations and their placements: add benchmark.placements=demonstration and "
                "benchmark.demonstrations=FOLDER, a shard set of whole episodes."
            )
        shards = Shards(self.demonstrations)
        ends = zip(shards.starts, shards.starts[1:], strict=False)
        recorded = {
            record.key: shards.actions[start:stop]
            for record, (start, stop) in zip(shards.records, ends, strict=True)
            if record.parent is None
        }
        episodes = [(task, index) for task in self.tasks for index in self._indices]
        slots = {f"{task}-{index:04d}": (task, self._seed(task, index)) for task, index in episodes}
        return ReplayAgent({slot: recorded[key] for key, slot in slots.items() if key in recorded})


class ScriptedExpertAgent:
    """The package's scripted experts, one for each task: the ceiling over every success rate."""

    looks = False
    identity = "scripted experts of metaworld"

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
