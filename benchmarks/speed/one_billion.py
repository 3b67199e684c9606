"""LA4VLA-1B at its true size: our steps against the same steps in the official shape, in one run.

    python benchmarks/speed/one_billion.py [--threads 2] [--turns 2] [--csv FILE] [--only la8 la16 vla act]

Random weights, bf16 autocast, chunks of 50 steps x 24 dimensions, one camera and a 14-word instruction. The official
shape is what the released code computes for the same samples: three 448 px views through the vision transformer,
prompts of 1024 tokens, a head that attends to all of them, and, when acting, keys and values of that context projected
anew in each of 32 integration steps. It is given the fast kernels of this package, so that shape alone is compared; in
LA steps its vision is frozen and builds no graph, better than in the release. Cases:

- la8: forward and backward of LA stage 2 (language layers and head learn), batch 8
- la16: the whole step with clipping and AdamW, batch 16
- vla: forward and backward with everything learning, one camera, batch 2
- act: one chunk for one camera

Floating point operations are counted by torch from the shapes of matrix products; `mfu` relates our step to the bf16
matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import csv
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from la4vla.models.backbones.base import Tokens
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.schema.batch import Batch

INSTRUCTION = "move the gripper downward and slightly forward while it is still holding nothing"
HORIZON, DIMS, TOKENS, SIDE, STEPS = 50, 24, 1024, 448, 32
STAGE_2 = ("language", "head")
EVERYTHING = ("vision", "embeddings", "language", "head")


class OneBillion(nn.Module):
    """Backbone and head, run as this package does and in the official shape."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = InternVL3("1b", views=3)
        self.head = FlowMatchingHead(self.backbone.width, HORIZON, DIMS, DIMS, integration_steps=STEPS)

    def learn(self, parts: tuple[str, ...]) -> None:
        """Let ``parts`` learn and freeze all others."""
        for name, parameters in {**self.backbone.parts(), "head": self.head.parameters()}.items():
            for parameter in parameters:
                parameter.requires_grad_(name in parts)

    def ours(self, batch: Batch) -> Tokens:
        """Visible views only, no token that does not exist."""
        return self.backbone(batch)

    def official(self, batch: Batch) -> Tokens:
        """Three views and 1024 tokens, all of which the head attends to."""
        model, rows = self.backbone.model, len(batch)
        views = torch.randint(0, 256, (3 * rows, 3, SIDE, SIDE), dtype=torch.uint8)
        seen = rearrange(self.backbone.see(views), "(b v) n d -> b (v n) d", b=rows)
        text = model.language_model.embed_tokens(torch.zeros(rows, TOKENS - seen.shape[1], dtype=torch.long))
        embeddings = torch.cat([seen, text.to(seen.dtype)], dim=1)
        read = model.language_model(
            inputs_embeds=embeddings,
            position_ids=torch.arange(TOKENS)[None].expand(rows, -1),
            attention_mask={"full_attention": None},
        )
        mask = torch.ones(rows, TOKENS, dtype=torch.bool)
        return Tokens(read.last_hidden_state, mask, mask)

    @torch.no_grad()
    def official_chunk(self, batch: Batch) -> Tensor:
        """Euler steps that project the context anew each time."""
        tokens, x = self.official(batch), torch.rand(len(batch), HORIZON, DIMS) * 2 - 1
        for step in range(STEPS):
            time_ = torch.full((len(batch),), step / STEPS)
            x = x + self.head.velocity(x, time_, self.head.context(tokens, batch)) / STEPS
        return x


def samples(rows: int, vision: bool) -> Batch:
    """``rows`` samples, seen by one camera or by none."""
    index = torch.full((rows, 3), -1)
    if vision:
        index[:, 0] = torch.arange(rows)
    return Batch(
        images=torch.randint(0, 256, (rows if vision else 0, 3, SIDE, SIDE), dtype=torch.uint8),
        image_index=index,
        instructions=(INSTRUCTION,) * rows,
        proprioception=torch.rand(rows, DIMS) * 2 - 1,
        embodiments=("arm",) * rows,
        actions=torch.rand(rows, HORIZON, DIMS) * 2 - 1,
        action_mask=repeat(torch.arange(DIMS) < 7, "a -> b h a", b=rows, h=HORIZON),
        draw=torch.arange(rows),
    )


def training(model: OneBillion, see: Callable[[Batch], Tokens], batch: Batch, whole: bool) -> Callable[[], None]:
    """Forward and backward, and where ``whole`` also clipping and AdamW."""
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-5, fused=True) if whole else None

    def step() -> None:
        model.head.loss(see(batch), batch).mean().backward()
        if optimizer:
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
        for parameter in learning:
            parameter.grad = None

    return step


def cases(model: OneBillion, name: str) -> tuple[Callable[[], object], Callable[[], object], int]:
    """Our step, the official one, and the samples of each."""
    if name == "act":
        one = samples(1, vision=True)
        free = replace(one, actions=None, action_mask=None)
        return lambda: model.head.sample(model.ours(free), free), lambda: model.official_chunk(free), 1
    rows, whole = {"la8": (8, False), "la16": (16, True), "vla": (2, False)}[name]
    model.learn(EVERYTHING if name == "vla" else STAGE_2)
    batch = samples(rows, vision=name == "vla")
    return training(model, model.ours, batch, whole), training(model, model.official, batch, whole), rows


def seconds(step: Callable[[], object], turns: int) -> float:
    """Median of ``turns``; counting operations before has warmed it up."""
    spent = []
    for _ in range(turns):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            step()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def operations(step: Callable[[], object]) -> float:
    """Floating point operations of all matrix products of a step, in TFLOP."""
    with FlopCounterMode(display=False) as counter, torch.autocast("cpu", torch.bfloat16):
        step()
    return counter.get_total_flops() / 1e12


def peak() -> float:
    """TFLOP/s of a large bf16 matrix product."""
    side = 4096
    a, b = (torch.randn(side, side, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / 1e12 / min(seconds(lambda: a @ b, 1) for _ in range(10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=["la8", "la16", "vla", "act"])
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    model, rows = OneBillion(), []
    for name in asked.only:
        model.train(name != "act")
        ours, official, size = cases(model, name)
        limit, ours_tflop = peak(), operations(ours)
        ours_s = seconds(ours, max(3, asked.turns))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        official_tflop, official_s = operations(official), seconds(official, asked.turns)
        rows.append(
            {
                "case": name,
                "batch": size,
                "ours_s": round(ours_s, 3),
                "official_s": round(official_s, 3),
                "ratio": round(official_s / ours_s, 1),
                "ours_tflop": round(ours_tflop, 3),
                "official_tflop": round(official_tflop, 3),
                "peak_tflops": round(limit, 3),
                "mfu": round(ours_tflop / ours_s / limit, 3),
                "official_mfu": round(official_tflop / official_s / limit, 3),
                "peak_gb_before_official": round(memory, 1),
                "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1),
            }
        )
        print(rows[-1], flush=True)
    if asked.csv:
        with asked.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
