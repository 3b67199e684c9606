"""LA4VLA-1B at its true size: our steps against the same steps in the official shape, in one run.

    python benchmarks/speed/one_billion.py [--device cuda] [--turns 5] [--cases la:8:ours ...] [--csv FILE]

Random weights, chunks of 50 steps x 24 dimensions, one camera and a 14-word instruction. The official shape is what
the released code computes for the same samples: three 448 px views through the vision transformer, prompts of 1024
tokens, a head that attends to all of them, and, when acting, keys and values of that context projected anew in each of
32 integration steps. A case is KIND:BATCH:WAY. Kinds:

- la: forward and backward of LA stage 2 (language layers and head learn);
- la-step: the whole step, with clipping and fused AdamW on float32 weights;
- vla: forward and backward with everything learning, one camera;
- vla-step: the whole of it;
- mixed: vla with half of the samples masked, which the official shape does not notice;
- act: `Policy.act`, one camera, 32 integration steps.

Ways: `official`, `ours`, and ours with layers that are run again in the backward pass (`recompute`), compiled
(`compiled`), or compiled into CUDA graphs (`graphed`). When acting, `graphed` and `official_graphed` replay CUDA graphs
that were recorded from the same kernels, not compiled.

`ratio` and `memory_ratio` relate a row to the official one of its kind and batch. `device_s` is what a GPU's kernels
take of a step's seconds: the rest it waits for launches, which only graphs and larger batches help. Operations are
la4vla.models.flops's, of what is run a second time none; `mfu` relates them to a large matrix product in the same
precision and process. Precision is bf16 autocast where the device multiplies bfloat16 in hardware, else float32. On a
CPU every row has a process of its own, so that its peak memory is its own. The official shape takes at most `--at-once`
samples at once, whose gradients add up. First of all both shapes compute losses with strict masks, which must be equal.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from one_billion_cases import Case, Setting, fresh, measure
from one_billion_model import samples
from table import write_table

from la4vla.construction.pool import end_with_parent

BOTH = ("official", "ours")
CASES = {
    "cpu": [f"{case}:{way}" for case in ("la:8", "la-step:16", "vla:2", "mixed:2", "act:1") for way in BOTH],
    "cuda": [
        *(f"{case}:{way}" for case in ("la:8", "la-step:8", "la-step:16", "vla:8", "mixed:8", "act:1") for way in BOTH),
        *("act:1:official_graphed", "act:1:graphed", "la:256:official", "la:256:ours"),
        *("vla:32:ours", "vla:32:recompute", "vla-step:32:ours", "vla:64:ours"),
        *("la:8:graphed", "vla:32:compiled"),
    ],
}
AT_ONCE = {"cpu": 4, "cuda": 32}
Answer = TypeVar("Answer")
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2**-7}


def check(setting: Setting) -> dict[str, list[float]]:
    """Losses of a masked and a seen sample: ours, and the official shape's with strict masks, in each precision."""
    model = fresh(setting).eval()  # dropout draws other numbers for other lengths
    batch = samples(2, 1, model.backbone.image_px).to(setting.device)
    found = {}
    for precision in dict.fromkeys((torch.float32, setting.precision)):
        lower = precision != torch.float32
        with torch.no_grad(), torch.autocast(setting.device, torch.bfloat16, enabled=lower):
            found[f"ours, {precision}"] = model.policy.loss(batch).tolist()
            found[f"official and strict, {precision}"] = model.official_loss(batch, strict=True).tolist()
    return found


def unequal(losses: dict[str, list[float]]) -> list[str]:
    """The precisions in which the losses of :func:`check` differ by more than rounding."""
    apart = []
    for precision, tolerance in TOLERANCE.items():
        pair = [torch.tensor(found) for name, found in losses.items() if name.endswith(str(precision))]
        if pair and not torch.allclose(*pair, atol=0, rtol=tolerance):
            apart.append(str(precision))
    return apart


def in_process(function: Callable[..., Answer], *arguments: object) -> Answer:
    """The function's answer from a process that ends with it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=end_with_parent) as process:
        return process.submit(function, *arguments).result()


def here(function: Callable[..., Answer], *arguments: object) -> Answer:
    """The function's answer."""
    return function(*arguments)


def related(row: dict[str, object], rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """``row`` with its ratios to the official one among ``rows``, empty where that was not measured."""
    key = ("case", "batch", "precision")
    bases = [one for one in rows if one["way"] == "official" and all(one[name] == row[name] for name in key)]
    ratios: dict[str, object] = {"ratio": "", "memory_ratio": ""}
    for base in bases:
        ratios = {
            "ratio": round(float(str(base["seconds"])) / float(str(row["seconds"])), 2),
            "memory_ratio": round(float(str(base["memory_gb"])) / float(str(row["memory_gb"])), 2),
        }
    return {**row, **ratios}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "", allow_abbrev=False)
    parser.add_argument("--device", choices=list(CASES), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cases", nargs="+", metavar="KIND:BATCH:WAY")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--at-once", type=int, help=f"see above: {AT_ONCE} by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--variant", default="1b", help="tiny is for a trial")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--no-check", action="store_true", help="leave out the comparison of losses")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args(arguments)
    at_once = asked.at_once or AT_ONCE[asked.device]
    setting = Setting(asked.device, asked.turns, at_once, asked.threads, asked.variant, asked.tokens)
    alone = in_process if asked.device == "cpu" else here
    losses = {} if asked.no_check else alone(check, setting)
    print(*(f"loss {name}: {found}" for name, found in losses.items()), sep="\n", flush=True)
    rows: list[dict[str, object]] = []
    for case in map(Case.parse, asked.cases or CASES[asked.device]):
        try:
            rows.append(related(alone(measure, case, setting), rows))
        except RuntimeError as error:  # no memory, or a compiler's
            print(case, f"{type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        print(rows[-1], flush=True)
        if asked.csv:
            write_table(rows, asked.csv)
    if apart := unequal(losses):
        sys.exit(f"Both shapes must give equal losses where both mask strictly; in {apart} they do not.")


if __name__ == "__main__":
    main()
