"""Synthetic episodes whose segments are known, and a few real demonstrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

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


DOWN = Rotation.from_euler("xyz", [np.pi, 0.0, 0.0])


def lagging_hand(arm, stages, hold_back=(), gain=0.009, noise=0.0, seed=0):
    """A hand that follows ``(word, steps, speed)`` as a first-order lag, held back in ``(start, stop, share)``."""
    command = np.concatenate([np.tile(arm.direction(w) * speed, (n, 1)) for w, n, speed in stages])
    speed, hand, now = np.zeros(3), [], np.zeros(3)
    executed = command + np.random.default_rng(seed).normal(0.0, noise, command.shape)
    for step, wanted in enumerate(executed):
        hand.append(now)
        speed = speed + 0.3 * (wanted * gain - speed)
        share = next((s for a, b, s in hold_back if a <= step < b), 1.0)
        now = now + speed * share
    grip = np.full((len(command), 1), -1.0)
    return Episode(
        key="lagging",
        task="task",
        instruction="do it",
        embodiment=arm,
        proprioception=np.column_stack([np.stack(hand), np.ones(len(command))]).astype(np.float32),
        actions=np.column_stack([command, grip]).astype(np.float32),
    )


def turning_hand(arm, rotvec, first=DOWN, speed=0.0, form="axis_angle", still=10, steps=30, grip=-1.0):
    """Rest, a turn by ``rotvec`` in the hand's own axes while travelling at ``speed`` metres a step, rest."""
    shares = np.concatenate([np.zeros(still), np.linspace(0, 1, steps), np.ones(still)])
    turn = first * Rotation.from_rotvec(np.outer(shares, rotvec))
    forms = {
        "axis_angle": turn.as_rotvec,
        "euler_xyz": lambda: turn.as_euler("xyz"),
        "quaternion_xyzw": turn.as_quat,
    }
    numbers = forms[form]()
    hand = np.outer(np.cumsum((shares > 0) & (shares < 1)) * speed, [1.0, 0.0, 0.0])
    width = numbers.shape[1]
    body = replace(
        arm,
        proprioception=(*(f"p{i}" for i in range(3)), *(f"r{i}" for i in range(width)), "gripper"),
        gripper=3 + width,
        orientation=tuple(range(3, 3 + width)),
        orientation_form=form,
        control_hz=20.0,
    )
    return Episode(
        key="turning",
        task="task",
        instruction="do it",
        embodiment=body,
        proprioception=np.column_stack([hand, numbers, np.ones(len(hand))]).astype(np.float32),
        actions=np.tile(np.array([0.0, 0.0, 0.0, grip], np.float32), (len(hand), 1)),
    )


@pytest.fixture(scope="session")
def lagging() -> Callable[..., Episode]:
    """Makes an episode of a hand that lags behind its commands and may be held back."""
    return lagging_hand


@pytest.fixture(scope="session")
def turning() -> Callable[..., Episode]:
    """Makes an episode of a hand that turns."""
    return turning_hand


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


MOVING_CARD = """
reader: {class_path: moving_arm.MovingArm, init_args: {episodes: 60}}
segmenter: {class_path: KinematicSegmenter}
exports:
  la: {unit: segment, frames: false}
  vla: {unit: segment, frames: true}
episodes_per_shard: 4
processes: 1
"""


@pytest.fixture
def moving_card(tmp_path, monkeypatch) -> Path:
    """A card over a source that costs nothing, which worker processes can import as well."""
    folder = Path(__file__).parent
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("LA4VLA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "moving.yaml"
    path.write_text(MOVING_CARD)
    return path
