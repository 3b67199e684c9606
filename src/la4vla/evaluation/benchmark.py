"""What every benchmark has in common: episodes, a world, and the way from an agent to a result."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from la4vla.evaluation.identity import identity_of
from la4vla.evaluation.journal import Journal
from la4vla.evaluation.outcomes import Outcome
from la4vla.evaluation.perturbations import Disturbance
from la4vla.evaluation.perturbed import PerturbedWorlds
from la4vla.evaluation.result import BenchmarkResult
from la4vla.evaluation.suitability import check_policy
from la4vla.evaluation.video import Films
from la4vla.models.masked_policy import MaskedPolicy
from la4vla.models.policy import Policy
from la4vla.rollout.agent import Actor, Agent, ChunkingAgent
from la4vla.rollout.progress import ProgressBar
from la4vla.rollout.random_agent import RandomAgent
from la4vla.rollout.runner import Watcher, rollout
from la4vla.rollout.stage import MakeEnvironment
from la4vla.rollout.trajectory import Job, Trajectory
from la4vla.rollout.workers import TIMEOUT_S
from la4vla.rollout.zero_agent import ZeroAgent
from la4vla.schema.embodiment import Embodiment


class Benchmark(ABC):
    """A set of episodes in some world, and how a policy is run in them.

    A subclass says which episodes there are and builds their worlds; it must have ``name``, ``embodiment`` and
    ``tasks``.

    Args:
        view: Name of the view profile the policy must have been trained with, or None to run without images.
        max_steps: Actions after which an episode ends unsolved.
        replan_every: Actions executed of each chunk.
        processes: Worker processes for the simulators; 0 for none.
        environments: Episodes under way at once; the policy's batch is half of it.
        videos: Episodes filmed per task; needs a view.
        film_every: Steps between the frames of a film.
        attempts: How often one episode may be begun, should its simulator's process die or hang.
        timeout_s: Seconds that one step or reset of a simulator may take before its process counts as hung.
        progress: Whether a progress bar is drawn.

    Raises:
        ValueError: If videos are wanted without a view, or a number is out of range.
    """

    name: ClassVar[str]
    embodiment: ClassVar[Embodiment]
    tasks: tuple[str, ...]

    def __init__(
        self,
        view: str | None,
        max_steps: int,
        replan_every: int,
        processes: int,
        environments: int,
        videos: int,
        film_every: int,
        attempts: int,
        progress: bool,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if videos and view is None:
            raise ValueError("Videos need images: name a view, or set videos to 0.")
        if min(max_steps, replan_every, environments, film_every, attempts) < 1 or min(processes, videos) < 0:
            raise ValueError(
                "max_steps, replan_every, environments, film_every and attempts must be at least 1, processes and "
                f"videos at least 0; got {max_steps}, {replan_every}, {environments}, {film_every}, {attempts}, "
                f"{processes} and {videos}."
            )
        if not 0 < timeout_s < float("inf"):
            raise ValueError(f"timeout_s is the seconds one step may take and must be above 0, got {timeout_s}.")
        self.view = view
        self.max_steps = max_steps
        self.replan_every = replan_every
        self.processes = processes
        self.environments = environments
        self.videos = videos
        self.film_every = film_every
        self.attempts = attempts
        self.timeout_s = timeout_s
        self.progress = progress

    @property
    @abstractmethod
    def jobs(self) -> list[Job]:
        """Every episode of the benchmark, task by task; task and seed tell them apart."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides outcomes, as JSON values: neither workers, nor films, nor the progress bar."""

    @abstractmethod
    def worlds(self, disturbance: Disturbance | None) -> MakeEnvironment:
        """The factory of environments, its cameras moved if ``disturbance`` moves cameras; picklable."""

    def group(self, task: str) -> str:
        """The group of tasks that ``task`` is counted in."""
        return ""

    def distractors(self, task: str) -> tuple[str, ...]:
        """Instructions of other tasks in the scene of ``task``."""
        return ()

    def agents(self) -> Mapping[str, Callable[[], Agent]]:
        """Agents that are no policies, by the word a command line calls them."""
        action_dim = len(self.embodiment.actions)
        return {"random": lambda: RandomAgent(action_dim), "zero": lambda: ZeroAgent(action_dim)}

    def run(
        self,
        policy: Actor,
        name: str = "policy",
        folder: str | Path | None = None,
        disturbance: Disturbance | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> BenchmarkResult:
        """Run every episode with ``policy``; see :meth:`run_agent`.

        Raises:
            ValueError: If the policy was trained for another body or view.
        """
        check_policy(policy, self.embodiment.name, self.view, self.replan_every)
        actor = MaskedPolicy(policy) if self.view is None and isinstance(policy, Policy) else policy
        agent = ChunkingAgent(actor, self.replan_every, looks=self.view is not None)
        return self.run_agent(agent, name, folder, disturbance, facts)

    def run_agent(
        self,
        agent: Agent,
        name: str,
        folder: str | Path | None = None,
        disturbance: Disturbance | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> BenchmarkResult:
        """Run every episode with any agent, which the result calls ``name``.

        Args:
            agent: Who acts.
            name: Name of the row in tables.
            folder: Where each episode is written down as it is finished, and its film; an evaluation that was
                interrupted there is gone on with. None keeps everything in memory.
            disturbance: What the agent's observations are disturbed by.
            facts: What else the folder tells of the evaluation, as JSON values.

        Raises:
            RolloutError: If an episode cannot be played.
            ValueError: If the folder holds another evaluation, or the benchmark has no such disturbance.
            OSError: If the disk is full. Finished episodes are kept in each case.
        """
        self.check_disturbance(disturbance)
        make_environment = self._worlds(disturbance)
        jobs = self.jobs
        if folder is None:
            trajectories = self._play(jobs, make_environment, agent, name, {}, [])
            outcomes = [self._outcome(trajectory, name, disturbance) for trajectory in trajectories]
            return BenchmarkResult(tuple(outcomes), tuple(trajectories), self.video_fps)
        began = time.perf_counter()
        with Journal(folder, self._key(agent, name, disturbance), facts) as journal:
            left = [job for job in jobs if (job.task, job.seed) not in journal.outcomes]

            def note(trajectory: Trajectory) -> None:
                journal.append(self._outcome(trajectory, name, disturbance))

            watchers: list[Watcher] = [note, Films(Path(folder) / "videos", self.video_fps, name)]
            trajectories = self._play(left, make_environment, agent, name, journal.outcomes, watchers)
            result = BenchmarkResult(
                tuple(journal.outcomes[job.task, job.seed] for job in jobs), tuple(trajectories), self.video_fps
            )
            if left or not journal.finished:  # it may have stopped between its last row and the mark
                seconds = round(time.perf_counter() - began, 1)
                facts_now = {"retries": result.retries, "last_sitting": {"episodes": len(left), "seconds": seconds}}
                journal.finish(result.outcomes, facts_now)
        result.write_report(folder)
        return result

    @property
    def video_fps(self) -> float:
        """Frames per second at which films play in real time."""
        return self.embodiment.control_hz / self.film_every

    def camera_shifts_m(self, disturbance: Disturbance | None) -> dict[str, tuple[float, float, float]]:
        """By task, how far ``disturbance`` moves the cameras of its world."""
        if disturbance is None:
            return {}
        shifts = {task: disturbance.perturbation.camera_shift_m(task, disturbance.level) for task in self.tasks}
        return {task: shift for task, shift in shifts.items() if shift is not None}

    def check_disturbance(self, disturbance: Disturbance | None) -> None:
        """Raise unless every task can be disturbed so.

        Raises:
            ValueError: If another task's instruction is to be given where no other task shares the scene.
        """
        if disturbance is None or not disturbance.perturbation.distracts:
            return
        lonely = [task for task in self.tasks if not self.distractors(task)]
        if lonely:
            raise ValueError(
                f"No other task of {self.name} shares the scene of {', '.join(lonely[:3])}"
                f"{f' and {len(lonely) - 3} more' if len(lonely) > 3 else ''}: leave those out for "
                f"{disturbance.perturbation.name}."
            )

    def _worlds(self, disturbance: Disturbance | None) -> MakeEnvironment:
        if disturbance is None:
            return self.worlds(None)
        distractors = {task: self.distractors(task) for task in self.tasks}
        return PerturbedWorlds(self.worlds(disturbance), disturbance, distractors)

    def _play(
        self,
        jobs: list[Job],
        make_environment: MakeEnvironment,
        agent: Agent,
        name: str,
        before: Mapping[tuple[str, int], Outcome],
        watchers: Sequence[Watcher],
    ) -> list[Trajectory]:
        solved = sum(outcome.success for outcome in before.values())
        label, episodes = f"{self.name}: {name}", len(jobs) + len(before)
        with ProgressBar(episodes, label, self.progress and bool(jobs), done=len(before), solved=solved) as bar:
            return rollout(
                jobs,
                make_environment,
                agent,
                max_steps=self.max_steps,
                processes=self.processes,
                environments=self.environments,
                film_every=self.film_every,
                watchers=[*watchers, bar],
                attempts=self.attempts,
                timeout_s=self.timeout_s,
            )

    def _key(self, agent: Agent, name: str, disturbance: Disturbance | None) -> dict[str, Any]:
        actor = agent.policy if isinstance(agent, ChunkingAgent) else agent
        identity = identity_of(actor)
        if identity is None:
            raise ValueError(
                f"{type(actor).__name__} has no `identity` that tells it from other agents, so a folder of its "
                "episodes could not be gone on with: give it one, or pass no folder."
            )
        return {
            "benchmark": self.name,
            "policy": name,
            "identity": identity,
            "perturbation": disturbance.label if disturbance else "",
            **self.settings,
        }

    def _outcome(self, trajectory: Trajectory, policy: str, disturbance: Disturbance | None) -> Outcome:
        return Outcome(
            benchmark=self.name,
            policy=policy,
            task=trajectory.task,
            group=self.group(trajectory.task),
            seed=trajectory.seed,
            success=trajectory.success,
            steps=trajectory.steps,
            attempts=trajectory.attempts,
            perturbation=disturbance.label if disturbance else "",
        )
