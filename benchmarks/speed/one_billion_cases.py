"""What is timed of LA4VLA-1B: kinds of step, ways to run them, and how they are measured."""

from __future__ import annotations

import copy
import gc
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Self

import numpy as np
import torch
from one_billion_model import DIMS, INSTRUCTION, TOKENS, OneBillion, samples
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from la4vla.models.backbones.internvl3_sizes import Variant
from la4vla.models.cuda_graphs import Replayed, replay_graphs
from la4vla.models.lower_precision import lower_precision
from la4vla.schema.observation import Observation
from la4vla.training.machine import fastest_precision, matrix_peak, peak_memory_gb

LONG_S, ENOUGH_S = 20.0, 5.0
OFFICIAL = ("official", "official_graphed")
WAYS = (*OFFICIAL, "ours", "recompute", "compiled", "graphed")
Step = Callable[[], object]


class Kind(NamedTuple):
    """What of its samples is seen (a share), what learns, and whether clipping and AdamW belong to the step."""

    seen: float
    learns: tuple[str, ...]
    whole: bool = False


KINDS = {
    "la": Kind(0, ("language", "head")),
    "la-step": Kind(0, ("language", "head"), whole=True),
    "vla": Kind(1, ("vision", "embeddings", "language", "head")),
    "vla-step": Kind(1, ("vision", "embeddings", "language", "head"), whole=True),
    "mixed": Kind(0.5, ("vision", "embeddings", "language", "head")),
    "act": Kind(1, ()),
}


class Case(NamedTuple):
    """One row of the table, written ``KIND:BATCH:WAY``."""

    kind: str
    batch: int
    way: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``la:8:ours``.

        Raises:
            ValueError: If it is not written like that.
        """
        kind, batch, way = text.split(":")
        if kind not in KINDS or way not in WAYS:
            raise ValueError(f"{text!r} must be KIND:BATCH:WAY with one of {[*KINDS]} and one of {WAYS}.")
        return cls(kind, int(batch), way)

    @property
    def seen(self) -> int:
        """Samples that see a camera's image."""
        return round(self.batch * KINDS[self.kind].seen)

    def at_once(self, setting: Setting) -> int:
        """Samples that run at once; ours all do."""
        return min(self.batch, setting.at_once) if self.way in OFFICIAL else self.batch


@dataclass(frozen=True)
class Setting:
    """Where and how often all cases run.

    Args:
        device: ``cuda`` or ``cpu``.
        turns: Steps to take the median of.
        at_once: Samples that a training step in the official shape takes at once; the parts' gradients add up.
        threads: Of a CPU.
        variant: Size of the backbone.
        tokens: Length of an official prompt.
    """

    device: str
    turns: int
    at_once: int
    threads: int
    variant: Variant = "1b"
    tokens: int = TOKENS

    @property
    def precision(self) -> torch.dtype:
        """What the device multiplies fastest in hardware."""
        return torch.bfloat16 if fastest_precision(self.device) == "bf16-mixed" else torch.float32

    def autocast(self) -> AbstractContextManager[None]:
        """Autocast to :attr:`precision`."""
        lower = self.precision == torch.bfloat16
        # torch says of its context managers no more than that they have __enter__ and __exit__
        return torch.autocast(self.device, torch.bfloat16, enabled=lower)  # type: ignore[return-value]

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def measure(case: Case, setting: Setting) -> dict[str, object]:
    """A row of the table, without its ratio to the official shape.

    Raises:
        RuntimeError: If the device lacks the memory, or a compiler fails.
    """
    model = fresh(setting)
    _prepare(model, case)
    if setting.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step = _acting(model, case, setting) if case.kind == "act" else _training(model, case, setting)
    seconds = _seconds(step, setting, warm=4 if case.way in ("compiled", "graphed") else 2)
    memory = peak_memory_gb(torch.device(setting.device))
    peak = matrix_peak(torch.device(setting.device), setting.precision)
    runs, acting = model.runs(case.batch, case.seen), case.kind == "act"
    official = case.way in OFFICIAL
    flop = (model.official_flops if official else model.flops)(runs, acting)
    tokens = case.batch * setting.tokens if official else sum(run.rows * run.length for run in runs)
    return {
        "case": case.kind,
        "batch": case.batch,
        "at_once": case.at_once(setting),
        "way": case.way,
        "device": torch.cuda.get_device_name() if setting.device == "cuda" else f"cpu, {setting.threads} threads",
        "precision": str(setting.precision).removeprefix("torch."),
        "seconds": round(seconds, 5),
        "device_s": _device_seconds(step, setting),
        "tflop": round(flop / 1e12, 3),
        "samples_per_s": round(case.batch / seconds, 2),
        "tokens_per_s": round(tokens / seconds),
        "peak_tflops": round(peak / 1e12, 3),
        "mfu": round(flop / seconds / peak, 3),
        "memory_gb": round(memory, 2),
    }


def fresh(setting: Setting) -> OneBillion:
    """A model of its own with the same weights for every case, since a case casts or compiles what it measures.

    A GPU receives copies of one model that stays in the host's memory. A CPU has no second one beside it: that would
    be counted in the case's memory.
    """
    torch.set_num_threads(setting.threads)
    gc.collect()
    if setting.device == "cpu":
        return _made(setting.variant, setting.tokens)
    torch.cuda.empty_cache()
    return copy.deepcopy(_kept(setting.variant, setting.tokens)).to(setting.device)


def _made(variant: Variant, tokens: int) -> OneBillion:
    torch.manual_seed(0)
    return OneBillion(variant, tokens)


_kept = cache(_made)


def _prepare(model: OneBillion, case: Case) -> None:
    """Makes ``model`` run in the case's way."""
    if case.way == "recompute":
        model.backbone._recompute(True)
        model.head.recompute = True
    elif case.way.endswith("graphed") and case.kind == "act":
        replay_graphs(model.policy)
        vars(model)["official_integrate"] = Replayed(model.official_integrate)
    elif case.way in ("compiled", "graphed"):
        for layers in model.policy.modules():
            for layer in layers if isinstance(layers, nn.ModuleList) else ():
                layer.compile(mode="reduce-overhead" if case.way == "graphed" else None, dynamic=False)


def _training(model: OneBillion, case: Case, setting: Setting) -> Step:
    """Forward and backward in parts, and where the kind is whole also clipping and AdamW."""
    kind = KINDS[case.kind]
    model.train()
    model.learn(kind.learns)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-5, fused=True) if kind.whole else None
    batch = samples(case.batch, case.seen, model.backbone.image_px).to(setting.device)
    parts = [batch.rows(part) for part in torch.arange(case.batch).split(case.at_once(setting))]
    loss = model.official_loss if case.way in OFFICIAL else model.policy.loss

    def step() -> None:
        for part in parts:
            with setting.autocast():
                total = loss(part).sum() / case.batch
            total.backward()
        if optimizer:
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
        for parameter in learning:
            parameter.grad = None

    return step


def _acting(model: OneBillion, case: Case, setting: Setting) -> Step:
    """One chunk per observation of one camera, weights in the lower precision as policies are served."""
    if setting.precision == torch.bfloat16:
        lower_precision(model.policy)
    model.eval()
    side = model.backbone.image_px
    if case.way in OFFICIAL:
        batch = samples(case.batch, case.batch, side).to(setting.device)

        def official() -> object:
            with setting.autocast():
                return model.official_chunk(batch)

        return official
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    observation = Observation(np.zeros(DIMS, np.float32), INSTRUCTION, "arm", {"front": image})

    def ours() -> object:
        with setting.autocast():
            return model.policy.act([observation] * case.batch, list(range(case.batch)))

    return ours


def _seconds(step: Step, setting: Setting, warm: int) -> float:
    """The median of a step's turns after ``warm`` others, of fewer turns where those take long.

    Beside a step of many seconds on a CPU warming up is nothing: that is told after its first turn.
    """
    spent: list[float] = []
    while len(spent) < warm + setting.turns and (len(spent) <= warm or sum(spent[warm:]) < ENOUGH_S):
        setting.wait()
        began = time.perf_counter()
        step()
        setting.wait()
        spent.append(time.perf_counter() - began)
        if setting.device == "cpu" and spent[-1] > LONG_S:
            return spent[-1]
    return statistics.median(spent[warm:])


def _device_seconds(step: Step, setting: Setting) -> float | str:
    """What the kernels of a step take on a GPU; where a step takes longer, the GPU waits to be told what to do."""
    if setting.device == "cpu":
        return ""
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        step()
        setting.wait()
    kernels = [event for event in trace.key_averages() if event.device_type == DeviceType.CUDA]
    return round(sum(kernel.self_device_time_total for kernel in kernels) / 1e6, 5)
