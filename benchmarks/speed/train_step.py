"""What a training step costs with and without vision, at the tiny recipes' size.

    python benchmarks/speed/train_step.py [--threads 2] [--batch 64] [--steps 20] [--csv FILE]

A step is loss, backward, clipping and fused AdamW, under bf16 autocast where the machine multiplies bfloat16. LA and
VLA steps take turns, so that whatever else the machine does hits both, and the median is told. The batch is made up:
16-step chunks, a 16-token instruction. Sizes: `recipe`, as recipes/parts say (two images of 96 x 96 pixels a sample, 9
tokens each), and `64 tokens` (one of 64 x 64 pixels), the size at which a plain PyTorch loop over a 4.6 M-parameter
policy reached 280 (LA) and 147 (VLA) samples/s on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from table import write_table

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain, Statistics
from la4vla.training.machine import fastest_precision

ARM = Embodiment("arm", ("x", "y", "z", "grip"), ("dx", "dy", "dz", "grip"), ("front",), 80.0)
INSTRUCTION = "move the gripper downward and then slightly forward while it is still holding nothing at all"
SIZES: dict[str, dict[str, Any]] = {
    "recipe": {
        "views": 2, "pixel_shuffle": 0.5, "vision_layers": 3, "language_layers": 2, "image_px": 96, "patch_px": 16,
        "stem": "convolutions",
    },
    "64 tokens": {},
}  # fmt: skip


def unit_statistics() -> Statistics:
    """Numbers that already lie in [-1, 1]."""
    one = torch.ones(4, dtype=torch.float64).numpy()
    return Statistics(minimum=-one, maximum=one, mean=0 * one, std=one, q01=-one, q99=one, count=2)


def policy(size: dict[str, Any]) -> Policy:
    """The tiny policy at ``size``."""
    torch.manual_seed(0)
    backbone = InternVL3(variant="tiny", **size)
    head = FlowMatchingHead(backbone.width, 16, 8, 8, layers=4, heads=6, hidden=256, dropout=0.0)
    return Policy(backbone, head, [Domain(ARM, None, unit_statistics(), unit_statistics())])


def batch(rows: int, views: int, side: int) -> Batch:
    """``rows`` samples that share an instruction, each with square images of ``side`` pixels; without any at 0."""
    images = rows * views if side else 0
    index = torch.arange(images).view(rows, views) if side else torch.full((rows, views), -1)
    return Batch(
        images=torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8),
        image_index=index,
        instructions=(INSTRUCTION,) * rows,
        proprioception=torch.rand(rows, 4) * 2 - 1,
        embodiments=("arm",) * rows,
        actions=torch.rand(rows, 16, 4) * 2 - 1,
        action_mask=torch.ones(rows, 16, 4, dtype=torch.bool),
        sources=("none",) * rows,
        draw=torch.arange(rows),
    )


def stepper(model: Policy, data: Batch) -> Callable[[], float]:
    """A function that trains one step and returns its seconds."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=fastest_precision() == "bf16-mixed"):
            loss = model.loss(data).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - began

    return step


def measure(size: dict[str, Any], rows: int, steps: int) -> dict[str, float]:
    """Samples per second of both kinds of step, and their ratio."""
    eyes = policy(size).backbone
    sides = {"la": 0, "vla": eyes.image_px}
    kinds = {name: stepper(policy(size), batch(rows, eyes.views, side)) for name, side in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(steps + 3):
        for name, step in kinds.items():
            spent = step()
            if turn >= 3:
                seconds[name].append(spent)
    la, vla = (statistics.median(seconds[name]) for name in ("la", "vla"))
    return {"la_samples_per_s": round(rows / la), "vla_samples_per_s": round(rows / vla), "ratio": round(vla / la, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows = []
    for name, size in SIZES.items():
        parameters = sum(p.numel() for p in policy(size).parameters())
        facts = {"size": name, "precision": fastest_precision(), "parameters": parameters}
        rows.append({**facts, **measure(size, asked.batch, asked.steps)})
        print(rows[-1], flush=True)
    if asked.csv:
        write_table(rows, asked.csv)


if __name__ == "__main__":
    main()
