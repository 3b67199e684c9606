"""A source of demonstrations that costs nothing: an arm of four numbers that goes, grips, lifts and comes back."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from la4vla.data.readers.base import Key, Reader
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode
from la4vla.schema.view import Shot, ViewProfile

ARM = Embodiment(
    name="moving_arm",
    proprioception=("x_m", "y_m", "z_m", "opening"),
    actions=("dx_m", "dy_m", "dz_m", "effort"),
    cameras=("eye",),
    control_hz=20.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=3,
    gripper_open=1.0,
    gripper_closed=0.0,
    gripper_action=3,
    gripper_action_open=-1.0,
    gripper_action_closed=1.0,
    forward=(1.0, 0.0, 0.0),
    left=(0.0, 1.0, 0.0),
    up=(0.0, 0.0, 1.0),
    action_form="increment",
)


class MovingArm(Reader):
    """Args:
    episodes: How many.
    seconds: How long reading one takes at least.
    pids: A folder in which every process that reads leaves its number.
    """

    def __init__(self, episodes: int, seconds: float = 0.0, pids: str | None = None) -> None:
        self.embodiment, self.view = ARM, ViewProfile("tiny", (Shot("eye", 16),), 16)
        self.episodes, self.seconds, self.pids = episodes, seconds, pids

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[Key]:
        return [("fetch", index) for index in range(episodes or self.episodes)]

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
        time.sleep(self.seconds)
        if self.pids:
            (Path(self.pids) / str(os.getpid())).touch()
        rng = np.random.default_rng(key[1])
        ways = rng.permutation(["forward", "left", "right", "backward"])[:2]
        stages = [(ways[0], 20, -1.0), ("downward", 15, -1.0), (None, 12, 1.0), ("upward", 15, 1.0), (ways[1], 20, 1.0)]
        velocity = np.concatenate([np.tile(ARM.direction(w) if w else np.zeros(3), (n, 1)) for w, n, _ in stages])
        effort = np.concatenate([np.full(n, grip) for _, n, grip in stages])
        opening = np.clip(1.0 - 0.05 * np.cumsum(effort > 0), 0.5, 1.0)
        position = 0.01 * np.cumsum(velocity, axis=0) + rng.normal(0.0, 1e-5, velocity.shape)
        steps = np.arange(0, len(effort) if frames else 0, 8)
        pictures = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in steps]
        return Episode(
            key=f"fetch-{key[1]:05d}",
            task=key[0],
            instruction="Fetch it",
            embodiment=ARM,
            proprioception=np.column_stack([position, opening]).astype(np.float32),
            actions=np.column_stack([velocity, effort]).astype(np.float32),
            frames={"eye": pictures} if frames else {},
            frame_steps=steps,
        )

    def close(self) -> None: ...


class BrokenArm(MovingArm):
    """A source of which nothing can be used."""

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
        raise UnusableEpisode(f"{key[0]}-{key[1]:04d}", "broken data", "the arm fell off.")
