"""Episodes and a segmenter that a second process builds alike; run as a program, it segments until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from la4vla.construction.segmenters.vlm import VLMSegmenter
from la4vla.construction.vlm.endpoint import Endpoint
from la4vla.construction.vlm.frames import FrameSampler
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

ARM = Embodiment(
    name="seen_arm",
    proprioception=("x_m", "y_m", "z_m", "opening"),
    actions=("dx_cm", "dy_cm", "dz_cm", "effort"),
    cameras=("left", "wrist"),
    control_hz=20.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=3,
    gripper_open=1.0,
    gripper_closed=0.0,
    forward=(1.0, 0.0, 0.0),
    left=(0.0, 1.0, 0.0),
    up=(0.0, 0.0, 1.0),
    action_form="increment",
)


def episode(number: int, steps: int = 60) -> Episode:
    """Three seconds of a hand that moves and of two cameras that see noise, the same in every process."""
    noise = np.random.default_rng(number)
    way_cm = noise.normal(size=(steps, 3)).cumsum(axis=0) / 10
    hand_m = np.vstack([np.zeros(3), way_cm[:-1].cumsum(axis=0) / 100])
    opening = 0.5 + 0.1 * noise.normal(size=steps)
    return Episode(
        key=f"episode-{number:03d}",
        task="task",
        instruction=f"task {number}",
        embodiment=ARM,
        proprioception=np.column_stack([hand_m, opening]).astype(np.float32),
        actions=np.column_stack([way_cm, noise.normal(size=steps)]).astype(np.float32),
        frames={
            camera: [noise.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(0, steps, 5)]
            for camera in ARM.cameras
        },
        frame_steps=np.arange(0, steps, 5),
    )


def segmenter(url: str, folder: Path, **settings: object) -> VLMSegmenter:
    """One with short waits."""
    how: dict = {"timeout_s": 20.0, "retries": 2, "give_up_after": 50}
    how |= {name: settings.pop(name) for name in ("timeout_s", "retries", "give_up_after") if name in settings}
    how |= {name: settings.pop(name) for name in ("api_key_env", "structured", "extra") if name in settings}
    return VLMSegmenter(
        Endpoint(url, "tiny-vl", **how),
        str(folder),
        frames=FrameSampler(rate_hz=1.0, longest_px=16),
        **{"concurrency": 4, **settings},
    )


def run_all(cutter: VLMSegmenter, numbers: range) -> dict[str, list | str]:
    """Segments, or the sentence of a failure, by key; all are begun before any is waited for."""
    begun = {f"episode-{n:03d}": cutter.begin(episode(n)) for n in numbers}
    results: dict[str, list | str] = {}
    for key, pending in begun.items():
        try:
            results[key] = pending.result()
        except ValueError as failure:
            results[key] = str(failure)
    return results


if __name__ == "__main__":
    run_all(segmenter(sys.argv[1], Path(sys.argv[2])), range(int(sys.argv[3])))
