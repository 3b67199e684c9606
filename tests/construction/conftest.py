"""Synthetic episodes whose segments are known, and a few real demonstrations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode


def scripted(arm: Embodiment, *stages: tuple[str | None, int, float], speed: float = 0.8) -> Episode:
    """An episode of ``(direction word or None, steps, gripper command)`` stages; the hand follows at once."""
    velocity = np.concatenate([np.tile(speed * arm.direction(w) if w else np.zeros(3), (n, 1)) for w, n, _ in stages])
    command = np.concatenate([np.full(n, effort) for _, n, effort in stages])
    position = np.concatenate([np.zeros((1, 3)), np.cumsum(velocity * 0.01, axis=0)[:-1]])
    opening, now = [], 1.0
    for effort in command:
        opening.append(now)
        now = max(0.5, now - 0.05) if effort > 0.05 else min(1.0, now + 0.05)
    return Episode(
        key="scripted",
        task="task",
        instruction="do it",
        embodiment=arm,
        proprioception=np.column_stack([position, opening]).astype(np.float32),
        actions=np.column_stack([velocity, command]).astype(np.float32),
    )


@pytest.fixture
def pick(tiny_arm: Embodiment) -> Episode:
    """Forward, down, close, up, left, rest, open, up."""
    return scripted(
        replace(tiny_arm, control_hz=20.0),
        ("forward", 20, 0.0),
        ("downward", 15, 0.0),
        (None, 12, 1.0),
        ("upward", 15, 1.0),
        ("left", 20, 1.0),
        (None, 15, 1.0),
        (None, 12, -1.0),
        ("upward", 15, -1.0),
    )


@pytest.fixture(scope="session")
def demonstrations() -> list[Episode]:
    """Two noisy demonstrations of each of eight tasks of all kinds."""
    tasks = ["reach", "push", "pick-place", "drawer-open", "door-open", "button-press", "sweep", "hammer"]
    reader = MetaworldExperts(tasks=tasks, episodes=2, action_noise=0.1)
    return [reader.read(key, False, Counter()) for key in reader.keys()]
