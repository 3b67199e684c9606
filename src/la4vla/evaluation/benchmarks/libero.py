"""LIBERO's four suites, or any part of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from la4vla.evaluation.benchmark import Benchmark
from la4vla.evaluation.perturbations import Disturbance
from la4vla.evaluation.suitability import check_episodes
from la4vla.rollout.agent import Agent, Slot
from la4vla.rollout.trajectory import Job
from la4vla.rollout.workers import TIMEOUT_S
from la4vla.schema.observation import Observation
from la4vla.simulators.libero import GripperMeaning
from la4vla.simulators.libero_body import LIBERO, VIEWS
from la4vla.simulators.libero_expert import LiberoExpert
from la4vla.simulators.libero_package import things_in
from la4vla.simulators.libero_tasks import OFFICIAL_STATES, PROTOCOLS, TASKS, select_tasks
from la4vla.simulators.libero_worlds import LiberoWorlds
from la4vla.simulators.metaworld_tasks import placement_seed

Placements = Literal["official", "evaluation", "demonstration"]


class LiberoBenchmark(Benchmark):
    """Success on LIBERO tasks, from the initial states the package ships.

    Episode number n of a task begins in its official state number n, for every policy, so that policies can be compared
    episode by episode. An episode is a success if the task's goal holds after any step, as in the package.

    Args:
        tasks: Slugs of tasks, or the name of one selection: "all", "spatial", "object", "goal" or "long".
        episodes: Initial states per task, at most 50 official ones.
        view: Name of the view profile the policy was trained with, or None to run without images.
        protocol: "standard" for the step limits 220, 280, 300 and 520 of the four suites; "evo1" for 350, 350, 350 and
            990 and the settling steps of the Evo-1 and LA4VLA client.
        max_steps: Actions after which an episode ends unsolved; None takes the protocol's.
        replan_every: Actions executed of each chunk.
        processes: Worker processes for the simulators; 0 for none.
        environments: Episodes under way at once; the policy's batch is half of it.
        first_placement: Number of the first initial state.
        videos: Episodes filmed per task; needs a view.
        film_every: Steps between the frames of a film.
        progress: Whether a progress bar is drawn.
        attempts: How often one episode may be begun, should its simulator's process die or hang.
        timeout_s: Seconds that one step or reset of a simulator may take before its process counts as hung.
        placements: "official", or "evaluation" for placements drawn anew, or "demonstration" for those that the
            scripted expert's demonstrations have.
        gripper: What the policy's last action means: "closing" as in the simulator, or "opening" from 0 to 1, as in the
            data sets of published checkpoints.

    Raises:
        ValueError: If a task, view, protocol or other choice is unknown, or there are no episodes or not so many
            official states.
    """

    name = "libero"
    embodiment = LIBERO

    def __init__(
        self,
        tasks: Sequence[str] | str = "all",
        episodes: int = 10,
        view: str | None = "libero_256",
        protocol: str = "standard",
        max_steps: int | None = None,
        replan_every: int = 8,
        processes: int = 2,
        environments: int = 8,
        first_placement: int = 0,
        videos: int = 0,
        film_every: int = 2,
        progress: bool = True,
        attempts: int = 3,
        timeout_s: float = TIMEOUT_S,
        placements: Placements = "official",
        gripper: GripperMeaning = "closing",
    ) -> None:
        self.tasks = select_tasks(tasks)
        check_episodes(self.tasks, episodes, first_placement)
        for word, words in (
            (protocol, tuple(PROTOCOLS)),
            (placements, get_args(Placements)),
            (gripper, get_args(GripperMeaning)),
            (view, (*VIEWS, None)),
        ):
            if word not in words:
                raise ValueError(f"There is no {word!r} of LIBERO; choose one of {', '.join(map(str, words))}.")
        if placements == "official" and not 0 <= first_placement < first_placement + episodes <= OFFICIAL_STATES:
            raise ValueError(
                f"LIBERO ships {OFFICIAL_STATES} initial states for each task; {episodes} from number "
                f"{first_placement} on are not among them. Add benchmark.placements=evaluation for others."
            )
        limits = PROTOCOLS[protocol].max_steps
        longest = max_steps if max_steps is not None else max(limits[TASKS[task].suite] for task in self.tasks)
        super().__init__(
            view, longest, replan_every, processes, environments, videos, film_every, attempts, progress, timeout_s
        )
        self.episodes = episodes
        self.protocol = protocol
        self.same_max_steps = max_steps
        self.first_placement = first_placement
        self.placements = placements
        self.gripper = gripper

    @property
    def jobs(self) -> list[Job]:
        """Every episode of the benchmark, task by task."""
        numbers = range(self.first_placement, self.first_placement + self.episodes)
        return [
            Job(task, self._seed(task, index), film=index - self.first_placement < self.videos)
            for task in self.tasks
            for index in numbers
        ]

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides outcomes; the view tells whether shadows are rendered."""
        return {
            "tasks": list(self.tasks),
            "episodes": self.episodes,
            "first_placement": self.first_placement,
            "placements": self.placements,
            "protocol": self.protocol,
            "max_steps": self.same_max_steps,
            "gripper": self.gripper,
            "view": VIEWS[self.view].to_json() if self.view is not None else None,
            "replan_every": self.replan_every,
        }

    def worlds(self, disturbance: Disturbance | None) -> LiberoWorlds:
        """The factory of environments."""
        return LiberoWorlds(
            view=VIEWS[self.view] if self.view is not None else None,
            protocol=self.protocol,
            max_steps=self.same_max_steps,
            placements="official" if self.placements == "official" else "sampled",
            gripper=self.gripper,
            camera_shifts_m=self.camera_shifts_m(disturbance),
        )

    def group(self, task: str) -> str:
        """The suite of ``task``."""
        return TASKS[task].suite

    def distractors(self, task: str) -> tuple[str, ...]:
        """Instructions that could be followed in the scene of ``task``, but are not its own.

        All tasks of the suite goal share one scene; in the suite object, those whose thing lies about.
        """
        own = TASKS[task]
        mates = [mate for mate in TASKS.values() if mate.suite == own.suite and mate.name != task]
        if own.suite == "object":
            present = things_in(own)
            mates = [mate for mate in mates if any(f"the_{thing}_and" in mate.name for thing in present)]
        return tuple(mate.instruction for mate in mates) if own.suite in ("goal", "object") else ()

    def agents(self) -> Mapping[str, Callable[[], Agent]]:
        """Random, zero, and the scripted expert of the suites spatial and object."""
        return {**super().agents(), "expert": ScriptedLiberoAgent}

    def _seed(self, task: str, index: int) -> int:
        return index if self.placements == "official" else placement_seed(self.placements, task, index)


class ScriptedLiberoAgent:
    """The scripted expert, one for each episode: it picks one thing up and puts it into or onto another."""

    looks = False
    identity = "scripted expert of libero"

    def __init__(self) -> None:
        self._experts: dict[tuple[str, int], LiberoExpert] = {}

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """One action ``(1, 7)`` for each observation.

        Raises:
            ValueError: If an observation lacks the simulator's state, or the task is of another kind.
        """
        return [self._act(observation, slot)[None] for observation, slot in zip(observations, slots, strict=True)]

    def _act(self, observation: Observation, slot: Slot) -> np.ndarray:
        if observation.privileged is None:
            raise ValueError(f"The expert of {slot.task!r} reads the simulator's state; this observation has none.")
        if slot.query == 0:
            self._experts[slot.task, slot.seed] = LiberoExpert()
        return self._experts[slot.task, slot.seed].act(observation.privileged)
