"""Episodes of Meta-World and LIBERO per minute, against the plain loops that evaluation clients are.

    python benchmarks/speed/rollouts.py [--simulators metaworld libero] [--steps 100] [--turns 3] [--csv FILE]

One untrained policy of the tiny recipes' size, which solves nothing, so that every episode has `steps` steps. Of each
chunk it executes as many as the simulator's recipes do: 15 in Meta-World (Evo-1's protocol), 8 in LIBERO. Four ways:

- `plain loop, stock rendering`: the package's own environment, rendered as its clients do after every step, one
  episode after the other, one query at a time (`plain_metaworld.py`, `plain_libero.py`);
- `la4vla, stock rendering`: the same cameras, sizes, shadows and anti-aliasing through worker processes, with batched
  queries and only the frames that are looked at;
- `plain loop, light rendering`: the first loop over our environment and the recipes' kind of view;
- `la4vla, light rendering`: that view in the second way.

Building environments and starting workers does not count: each way first plays unmeasured. A turn is one episode of a
plain loop, or one episode at each of `environments` seats; told is the median over turns, with the least and the most.
Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rollout_cases import CASES, Case, Plain
from table import write_table

from la4vla.rollout.agent import Slot
from la4vla.rollout.runner import rollout
from la4vla.rollout.trajectory import Trajectory
from la4vla.schema.observation import Observation
from la4vla.schema.view import ViewProfile


class Watched:
    """Our environment, looked at after every step."""

    def __init__(self, case: Case) -> None:
        self.environment = case.environment(case.task, case.light)

    def reset(self, seed: int) -> Observation:
        """Begin an episode."""
        return self.environment.reset(seed)

    def step(self, action: np.ndarray) -> Observation:
        """Execute one action and render."""
        return self.environment.step(action).observation


def plain_loop(case: Case, make: Callable[[], Plain], turns: int, steps: int) -> list[float]:
    """Seconds of each turn: one episode after the other, one query at a time."""
    environment, actor = make(), case.agent()

    def play(seed: int, steps: int) -> float:
        began = time.perf_counter()
        observation = environment.reset(seed)
        for step in range(0, steps, case.replan_every):
            actions = actor.act([observation], [Slot(case.task, seed, step)])[0]
            for action in actions[: steps - step]:
                observation = environment.step(action)
        return time.perf_counter() - began

    play(0, min(steps, case.replan_every))
    return [play(seed, steps) for seed in range(turns)]


def ours(case: Case, view: ViewProfile, turns: int, steps: int, processes: int) -> list[float]:
    """Seconds per episode of each turn; the first wave of episodes is not measured."""
    ends: list[float] = []

    def note(trajectory: Trajectory) -> None:
        ends.append(time.perf_counter())

    seats = case.environments
    rollout(
        [(case.task, seed) for seed in range((turns + 1) * seats)],
        partial(case.environment, view=view),
        case.agent(),
        max_steps=steps,
        processes=processes,
        environments=seats,
        watchers=[note],
    )
    waves = ends[seats - 1 :: seats]
    return [(after - before) / seats for before, after in pairwise(waves)]


def measured(name: str, case: Case, turns: int, steps: int, processes: int) -> list[dict[str, object]]:
    """The rows of one simulator."""
    plain, rows = partial(plain_loop, case, turns=turns, steps=steps), []
    told = partial(ours, case, turns=turns, steps=steps, processes=processes)
    ways: dict[tuple[str, str], Callable[[], list[float]]] = {
        ("plain loop", "stock"): lambda: plain(partial(case.plain, case.light)),
        ("la4vla", "stock"): lambda: told(case.stock),
        ("plain loop", "light"): lambda: plain(partial(Watched, case)),
        ("la4vla", "light"): lambda: told(case.light),
    }
    rates: dict[tuple[str, str], float] = {}
    for (way, rendering), measure in ways.items():
        minutes = [60 / seconds for seconds in measure()]
        rates[way, rendering] = median(minutes)
        row = {
            "simulator": name,
            "way": way,
            "rendering": rendering,
            "steps": steps,
            "turns": turns,
            "episodes_per_turn": case.environments if way == "la4vla" else 1,
            "episodes_per_minute": round(median(minutes), 2),
            "least": round(min(minutes), 2),
            "most": round(max(minutes), 2),
            "of_plain_stock": round(median(minutes) / rates["plain loop", "stock"], 1),
            "of_plain_same_rendering": round(median(minutes) / rates["plain loop", rendering], 1),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--simulators", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, default=100, help="of an episode")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--environments", type=int, help="seats, instead of 16 and 8")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args(words)
    torch.set_num_threads(asked.threads)
    rows = []
    for name in asked.simulators:
        case = CASES[name] if asked.environments is None else replace(CASES[name], environments=asked.environments)
        rows += measured(name, case, asked.turns, asked.steps, asked.processes)
    if asked.csv:
        write_table(rows, asked.csv)


if __name__ == "__main__":
    main()
