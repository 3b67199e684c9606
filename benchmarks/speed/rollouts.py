"""Episodes of Meta-World per minute, against the plain loop that evaluation clients are.

    python benchmarks/speed/rollouts.py [--steps 100] [--episodes 1] [--environments 16] [--processes 2] [--csv FILE]

One untrained policy of the tiny recipes' size, which solves nothing, so that every episode has `steps` steps; 15
actions of each chunk are executed, as in the Evo-1 protocol. Four ways:

- `plain loop, stock rendering`: the package's own environment, rendered at 480 x 480 with shadows and anti-aliasing
  after every step, the image turned, cropped and resized as the Evo-1 client does, one query at a time;
- `la4vla, stock rendering`: the same camera, size, shadows and anti-aliasing through worker processes, with batched
  queries and only the frames that are looked at;
- `plain loop, light rendering`: the first loop over our environment and the view evo1_64;
- `la4vla, light rendering`: that view in the second way.

Building environments and starting workers does not count for the clock: each way first plays unmeasured. Told are the
clock's episodes per minute and the processor's seconds per episode (for la4vla over all processes, their start and both
waves); on a busy machine the latter is the steadier one, but knows nothing of two cores working at once.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from table import write_table

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.rollout.agent import ChunkingAgent, Slot
from la4vla.rollout.runner import rollout
from la4vla.rollout.trajectory import Trajectory
from la4vla.schema.observation import Observation
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import ViewProfile
from la4vla.simulators.metaworld import METAWORLD, VIEWS, MetaworldEnvironment

TASK, REPLAN_EVERY = "push", 15
LIGHT = VIEWS["evo1_64"]
STOCK = replace(VIEWS["evo1"], name=LIGHT.name, size_px=LIGHT.size_px)  # the same picture, made the expensive way


def agent() -> ChunkingAgent:
    """The tiny policy."""
    torch.manual_seed(0)
    one = np.ones(4)
    unit = Statistics(minimum=-one, maximum=one, mean=0 * one, std=one, q01=-one, q99=one, count=2)
    backbone = InternVL3(variant="tiny", pixel_shuffle=0.5, vision_width=192)
    head = FlowMatchingHead(backbone.width, 16, 8, 8, layers=4, heads=6, hidden=256, dropout=0.0)
    return ChunkingAgent(Policy(backbone, head, [Domain(METAWORLD, LIGHT, unit, unit)]), REPLAN_EVERY)


class StockEnvironment:
    """The package's environment and renderer as they come."""

    def __init__(self) -> None:
        from metaworld import MT1

        made = MT1(f"{TASK}-v3", seed=4042)
        self.simulator = made.train_classes[f"{TASK}-v3"](render_mode="rgb_array", camera_name="corner2")
        self.tasks = made.train_tasks

    def reset(self, seed: int) -> Observation:
        """Begin an episode."""
        self.simulator.set_task(self.tasks[seed])
        state, _ = self.simulator.reset()
        return self.seen(state)

    def step(self, action: np.ndarray) -> Observation:
        """Execute one action and render."""
        state, *_ = self.simulator.step(np.clip(action, -1, 1))
        return self.seen(state)

    def seen(self, state: np.ndarray) -> Observation:
        """Rendered, turned by 180 degrees, cropped to the middle two thirds and resized."""
        image = np.rot90(self.simulator.render(), 2)[80:400, 80:400]
        small = np.asarray(Image.fromarray(image).resize((STOCK.size_px, STOCK.size_px), Image.Resampling.BILINEAR))
        images = {"corner2": small}
        return Observation(state[:4].astype(np.float32), "Push the puck to a goal", "metaworld", images, STOCK.name)


class SameEnvironment:
    """Our environment, looked at after every step."""

    def __init__(self) -> None:
        self.environment = MetaworldEnvironment(TASK, LIGHT)

    def reset(self, seed: int) -> Observation:
        """Begin an episode."""
        return self.environment.reset(seed)

    def step(self, action: np.ndarray) -> Observation:
        """Execute one action and render."""
        return self.environment.step(action).observation


def plain_loop(make: Callable[[], StockEnvironment | SameEnvironment], episodes: int, steps: int) -> dict[str, float]:
    """One episode after the other, one query at a time."""
    environment, actor = make(), agent()

    def play(seed: int, steps: int) -> None:
        observation = environment.reset(seed)
        for step in range(0, steps, REPLAN_EVERY):
            actions = actor.act([observation], [Slot(TASK, seed, step)])[0]
            for action in actions[: steps - step]:
                observation = environment.step(action)

    play(0, REPLAN_EVERY)
    began, worked = time.perf_counter(), processor_s()
    for seed in range(episodes):
        play(seed, steps)
    return told(episodes, time.perf_counter() - began, processor_s() - worked)


def ours(view: ViewProfile, environments: int, processes: int, steps: int) -> dict[str, float]:
    """Two waves of episodes, of which the clock measures the second."""
    ends: list[float] = []

    def note(trajectory: Trajectory) -> None:
        ends.append(time.perf_counter())

    worked = processor_s()
    rollout(
        [(TASK, seed) for seed in range(2 * environments)],
        partial(MetaworldEnvironment, view=view),
        agent(),
        max_steps=steps,
        processes=processes,
        environments=environments,
        watchers=[note],
    )
    return told(environments, ends[-1] - ends[environments - 1], (processor_s() - worked) / 2)


def told(episodes: int, seconds: float, processor: float) -> dict[str, float]:
    return {
        "episodes": episodes,
        "episodes_per_minute": round(60 * episodes / seconds, 2),
        "processor_s_per_episode": round(processor / episodes, 2),
    }


def processor_s() -> float:
    """Seconds that this process and the ended ones among its children have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=1, help="of each plain loop")
    parser.add_argument("--environments", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    sizes = asked.environments, asked.processes, asked.steps
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "plain loop, stock rendering": partial(plain_loop, StockEnvironment, asked.episodes, asked.steps),
        "la4vla, stock rendering": partial(ours, STOCK, *sizes),
        "plain loop, light rendering": partial(plain_loop, SameEnvironment, asked.episodes, asked.steps),
        "la4vla, light rendering": partial(ours, LIGHT, *sizes),
    }
    measured = {}
    for way, measure in ways.items():
        measured[way] = measure()
        print(way, measured[way], flush=True)
    first = measured["plain loop, stock rendering"]
    rows = [
        {
            "way": way,
            "steps": asked.steps,
            **figures,
            "by_clock": round(figures["episodes_per_minute"] / first["episodes_per_minute"], 1),
            "by_processor": round(first["processor_s_per_episode"] / figures["processor_s_per_episode"], 1),
        }
        for way, figures in measured.items()
    ]
    for row in rows:
        print(row["way"], row["by_clock"], row["by_processor"])
    if asked.csv:
        write_table(rows, asked.csv)


if __name__ == "__main__":
    main()
