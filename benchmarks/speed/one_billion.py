"""LA4VLA-1B at its true size: our steps against the same steps in the official shape, in one run.

    python benchmarks/speed/one_billion.py [--threads 2] [--turns 2] [--csv FILE] [--only la8 la16 vla act]
    python benchmarks/speed/one_billion.py --memory ours official [--batch 8] [--csv FILE]

Random weights, bf16 autocast, chunks of 50 steps x 24 dimensions, one camera and a 14-word instruction. The official
shape is what the released code computes for the same samples: three 448 px views through the vision transformer,
prompts of 1024 tokens, a head that attends to all of them, and, when acting, keys and values of that context projected
anew in each of 32 integration steps. It is given the fast kernels of this package, so that shape alone is compared; in
LA steps its vision is frozen and builds no graph, better than in the release. Cases:

- la8: forward and backward of LA stage 2 (language layers and head learn), batch 8
- la16: the whole step with clipping and AdamW, batch 16
- vla: forward and backward with everything learning, one camera, batch 2
- act: one chunk for one camera, both with weights in bf16, as policies are served

The two take turns, after one step of each to warm up. Operations are la4vla.models.flops's; `mfu` relates a step to the
bf16 matrix product measured in the same run. `--memory` tells the peak memory of a whole LA step, fp32 weights and
AdamW's state included, each in a process of its own.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from einops import rearrange, repeat
from table import write_table
from torch import Tensor, nn

from la4vla.models.backbones.base import Tokens
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.backbones.internvl3_sizes import Variant
from la4vla.models.flops import Pass, Tally, chunk_flops, step_flops
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.lower_precision import lower_precision
from la4vla.schema.batch import Batch
from la4vla.training.machine import matrix_peak, peak_memory_gb

INSTRUCTION = "move the gripper downward and slightly forward while it is still holding nothing"
HORIZON, DIMS, TOKENS, STEPS = 50, 24, 1024, 32
STAGE_2 = ("language", "head")
EVERYTHING = ("vision", "embeddings", "language", "head")
CASES = {"la8": (8, False), "la16": (16, True), "vla": (2, False)}
CPU = torch.device("cpu")

Step = Callable[[], object]


class OneBillion(nn.Module):
    """Backbone and head, run as this package does and in the official shape."""

    def __init__(self, variant: Variant = "1b", tokens: int = TOKENS) -> None:
        super().__init__()
        self.tokens = tokens
        self.backbone = InternVL3(variant, views=3)
        self.head = FlowMatchingHead(self.backbone.width, HORIZON, DIMS, DIMS, integration_steps=STEPS)

    def learn(self, parts: tuple[str, ...]) -> None:
        """Let ``parts`` learn and freeze all others."""
        for name, parameters in {**self.backbone.parts(), "head": self.head.parameters()}.items():
            for parameter in parameters:
                parameter.requires_grad_(name in parts)

    def ours(self, batch: Batch) -> Tokens:
        """Visible views only, no token that does not exist."""
        tokens: Tokens = self.backbone(batch)
        return tokens

    def official(self, batch: Batch) -> Tokens:
        """Three views and 1024 tokens, all of which the head attends to."""
        model, rows, side = self.backbone.model, len(batch), self.backbone.image_px
        views = torch.randint(0, 256, (3 * rows, 3, side, side), dtype=torch.uint8)
        seen = rearrange(self.backbone.see(views), "(b v) n d -> b (v n) d", b=rows)
        text = model.language_model.embed_tokens(torch.zeros(rows, self.tokens - seen.shape[1], dtype=torch.long))
        embeddings = torch.cat([seen, text.to(seen.dtype)], dim=1)
        read = model.language_model(
            inputs_embeds=embeddings,
            position_ids=torch.arange(self.tokens)[None].expand(rows, -1),
            attention_mask={"full_attention": None},
        )
        mask = torch.ones(rows, self.tokens, dtype=torch.bool)
        return Tokens(read.last_hidden_state, mask, mask)

    @torch.no_grad()
    def official_chunk(self, batch: Batch) -> Tensor:
        """Euler steps that project the context anew each time."""
        tokens, x = self.official(batch), torch.rand(len(batch), HORIZON, DIMS) * 2 - 1
        for step in range(STEPS):
            time_ = torch.full((len(batch),), step / STEPS)
            x = x + self.head.velocity(x, time_, self.head.context(tokens, batch)) / STEPS
        return x

    @torch.no_grad()
    def our_chunk(self, batch: Batch) -> Tensor:
        """As a policy acts."""
        return self.head.sample(self.ours(batch), batch)

    def tflop(self, batch: Batch, acting: bool) -> tuple[float, float]:
        """What a step takes, ours and in the official shape, in 10^12 operations."""
        rows, visible = len(batch), batch.visible
        length = self.backbone.prompt.layout(batch.instructions, visible, drop=True).ids.shape[1]
        shapes = Pass(rows, length, len(batch.images)), Pass(rows, self.tokens, 3 * rows)
        if not acting:
            ours, official = (step_flops(self.backbone, self.head, [shape]) for shape in shapes)
            return (ours.forward + ours.backward) / 1e12, (official.forward + official.backward) / 1e12
        tally = Tally()
        self.backbone.count(tally, shapes[1])
        for _ in range(STEPS):
            self.head.count(tally, shapes[1])  # a loss is a context and a velocity, as is an official step
        return chunk_flops(self.backbone, self.head, shapes[0]) / 1e12, tally.forward / 1e12


def samples(rows: int, vision: bool, side: int = 448) -> Batch:
    """``rows`` samples, seen by one camera or by none."""
    index = torch.full((rows, 3), -1)
    if vision:
        index[:, 0] = torch.arange(rows)
    return Batch(
        images=torch.randint(0, 256, (rows if vision else 0, 3, side, side), dtype=torch.uint8),
        image_index=index,
        instructions=(INSTRUCTION,) * rows,
        proprioception=torch.rand(rows, DIMS) * 2 - 1,
        embodiments=("arm",) * rows,
        actions=torch.rand(rows, HORIZON, DIMS) * 2 - 1,
        action_mask=repeat(torch.arange(DIMS) < 7, "a -> b h a", b=rows, h=HORIZON),
        draw=torch.arange(rows),
    )


def training(model: OneBillion, see: Callable[[Batch], Tokens], batch: Batch, whole: bool) -> Step:
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


def case(model: OneBillion, name: str) -> tuple[Step, Step, Batch, OneBillion]:
    """Our step, the official one, their samples, and the model that takes them."""
    side = model.backbone.image_px
    if name == "act":
        acting = copy.deepcopy(model).eval()
        lower_precision(acting)
        free = replace(samples(1, vision=True, side=side), actions=None, action_mask=None)
        return lambda: acting.our_chunk(free), lambda: acting.official_chunk(free), free, acting
    rows, whole = CASES[name]
    model.learn(EVERYTHING if name == "vla" else STAGE_2)
    batch = samples(rows, vision=name == "vla", side=side)
    return training(model, model.ours, batch, whole), training(model, model.official, batch, whole), batch, model


def seconds(step: Step) -> float:
    """One step under autocast."""
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        step()
    return time.perf_counter() - began


def compare(model: OneBillion, name: str, turns: int) -> dict[str, object]:
    """A row of the table."""
    ours, official, batch, taken = case(model, name)
    limit = matrix_peak(CPU, torch.bfloat16) / 1e12
    tflop, official_tflop = taken.tflop(batch, acting=name == "act")
    spent: list[tuple[float, float]] = []
    for _ in range(turns + 1):
        spent.append((seconds(ours), seconds(official)))
    ours_s, official_s = (statistics.median(both) for both in zip(*spent[1:], strict=True))
    return {
        "case": name,
        "batch": len(batch),
        "ours_s": round(ours_s, 3),
        "official_s": round(official_s, 3),
        "ratio": round(official_s / ours_s, 1),
        "ours_tflop": round(tflop, 3),
        "official_tflop": round(official_tflop, 3),
        "peak_tflops": round(limit, 3),
        "mfu": round(tflop / ours_s / limit, 3),
        "official_mfu": round(official_tflop / official_s / limit, 3),
    }


def memory(shape: str, rows: int, variant: Variant = "1b") -> dict[str, object]:
    """Peak memory of two whole LA steps in this process, and what of it the first step found there."""
    model = OneBillion(variant)
    model.learn(STAGE_2)
    before = peak_memory_gb(CPU)
    see = model.ours if shape == "ours" else model.official
    step = training(model, see, samples(rows, vision=False, side=model.backbone.image_px), whole=True)
    for _ in range(2):  # AdamW's state is there from the first step's end on
        seconds(step)
    found = {"weights_gb": round(before, 2), "peak_gb": round(peak_memory_gb(CPU), 2)}
    return {"shape": shape, "batch": rows, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=[*CASES, "act"], default=[*CASES, "act"])
    parser.add_argument("--memory", nargs="+", choices=["ours", "official"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    rows: list[dict[str, object]] = []
    if asked.memory:
        for shape in asked.memory:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                rows.append(process.submit(memory, shape, asked.batch).result())
            print(rows[-1], flush=True)
    else:
        model = OneBillion()
        for name in asked.only:
            rows.append(compare(model, name, asked.turns))
            print(rows[-1], flush=True)
    if asked.csv:
        write_table(rows, asked.csv)


if __name__ == "__main__":
    main()
