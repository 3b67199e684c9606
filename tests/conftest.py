"""Tiny real twins that every room's tests may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import flop_registry, register_flop_formula

from la4vla.data.shard_writer import write_manifest, write_shard
from la4vla.data.shards import Record
from la4vla.data.statistics import StatisticsStream
from la4vla.data.transforms import encode_jpeg
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain
from la4vla.schema.view import Shot, ViewProfile

# Tests run side by side; threads of one would only wait for those of the other.
torch.set_num_threads(1)

FUSED_ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
if FUSED_ON_CPU not in flop_registry:  # torch counts its fused attention on GPUs only

    @register_flop_formula(FUSED_ON_CPU)
    def _fused_attention_flop(query: torch.Size, keys: torch.Size, *_: object, **__: object) -> int:
        return 4 * query.numel() * keys[-2]


TINY_ARM = Embodiment(
    name="tiny_arm",
    proprioception=("hand_x_m", "hand_y_m", "hand_z_m", "gripper_opening"),
    actions=("dx", "dy", "dz", "gripper_effort"),
    cameras=("corner2",),
    control_hz=80.0,
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
TWO_EYED_ARM = Embodiment(
    name="two_eyed_arm",
    proprioception=tuple(f"joint{i}_rad" for i in range(6)),
    actions=tuple(f"joint{i}_rad" for i in range(7)),
    cameras=("left", "wrist"),
    control_hz=15.0,
)
DIRECTIONS = ("forward", "backward", "left", "right", "upward", "downward")


def tiny_records(
    embodiment: Embodiment,
    count: int = 6,
    size_px: int = 16,
    frame_every: int = 2,
    cameras: Sequence[str] = (),
    seed: int = 0,
) -> list[Record]:
    """``count`` segments of 5 to 12 steps; the same seed gives the same numbers with and without ``cameras``."""
    numbers, pixels = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    records = []
    for i in range(count):
        steps, word = int(numbers.integers(5, 13)), DIRECTIONS[i % 6]
        frame_steps = np.arange(0, steps if cameras else 0, frame_every)
        proprioception = numbers.normal(size=(steps, len(embodiment.proprioception))).astype(np.float32)
        actions = numbers.uniform(-1, 1, size=(steps, len(embodiment.actions))).astype(np.float32)
        images = {
            camera: [encode_jpeg(pixels.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)) for _ in frame_steps]
            for camera in cameras
        }
        records.append(
            Record(
                key=f"segment{i:03d}",
                task=f"task{i % 3}",
                instruction=f"Move {word} while holding nothing",
                primitive="move",
                directions=(word,),
                parent=f"episode{i // 2}",
                start=3 * i,
                quality=3.0,
                proprioception=proprioception,
                actions=actions,
                frame_steps=frame_steps,
                images=images,
            )
        )
    return records


def write_tiny_shards(
    folder: Path,
    *,
    embodiment: Embodiment = TINY_ARM,
    frames: bool = False,
    records: int = 6,
    shards: int = 2,
    size_px: int = 16,
    frame_every: int = 2,
    cameras: Sequence[str] | None = None,
    view: str = "tiny",
    seed: int = 0,
) -> Path:
    """A finished shard set in ``folder``; two sets of one seed are an LA set and its VLA twin."""
    seen = (embodiment.cameras if cameras is None else cameras) if frames else ()
    made = tiny_records(embodiment, records, size_px, frame_every, seen, seed)
    streams = StatisticsStream(), StatisticsStream()
    for record in made:
        streams[0].update(record.key, record.proprioception)
        streams[1].update(record.key, record.actions)
    files = [f"{shard:05d}.tar" for shard in range(shards)]
    for shard, file in enumerate(files):
        write_shard(folder / file, made[shard::shards])
    shots = tuple(Shot(camera, size_px) for camera in embodiment.cameras)
    profile = ViewProfile(view, shots, size_px) if frames else None
    domain = Domain(embodiment, profile, streams[0].finish(), streams[1].finish())
    write_manifest(folder, name=folder.name, unit="segment", domain=domain, shards=files, card={"seed": seed})
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests inside LIBERO's scenes run where the package and its assets are."""
    if find_spec("libero") is not None and os.environ.get("LA4VLA_LIBERO_ASSETS"):
        return
    for item in items:
        if item.get_closest_marker("libero"):
            item.add_marker(pytest.mark.skip("needs the extra libero, and LA4VLA_LIBERO_ASSETS to name its assets"))


@pytest.fixture
def tiny_shards() -> Callable[..., Path]:
    """The generator of tiny shard sets: ``tiny_shards(folder, frames=True, ...)``."""
    return write_tiny_shards


@pytest.fixture
def tiny_arm() -> Embodiment:
    """Four numbers each way and one camera, as on Meta-World."""
    return TINY_ARM


@pytest.fixture
def two_eyed_arm() -> Embodiment:
    """Six joints, seven actions and two cameras."""
    return TWO_EYED_ARM
