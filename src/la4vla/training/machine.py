"""What the machine can do, and what of it was used."""

from __future__ import annotations

import resource
import sys
from functools import cache
from time import perf_counter
from typing import Literal

import torch


def fastest_precision(device: str | None = None) -> Literal["bf16-mixed", "32-true"]:
    """``bf16-mixed`` where ``device`` multiplies bfloat16 in hardware, else ``32-true``; None is a GPU if there is one.

    A processor without it still computes bfloat16 products, one number at a time: a backward pass then takes some fifty
    times as long as in float32, where one with it takes a third.
    """
    if device == "cuda" or (device is None and torch.cuda.is_available()):
        in_hardware = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        in_hardware = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bf16-mixed" if in_hardware else "32-true"


@cache
def matrix_peak(device: torch.device, dtype: torch.dtype, repeats: int = 3) -> float:
    """FLOP/s of a large square matrix product in ``dtype``: the best of ``repeats``, measured once per process.

    Training is related to this, not to a data sheet: what else the machine does, its clock and its threads are the
    same for both.
    """
    side = 8192 if device.type == "cuda" else 2048
    generator = torch.Generator().manual_seed(0)  # training must draw what it draws without this measurement
    a, b = (torch.randn(side, side, generator=generator).to(device, dtype) for _ in range(2))
    spent = []
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for _ in range(repeats + (device.type == "cuda")):
            began = perf_counter()
            a @ b
            _wait(device)
            spent.append(perf_counter() - began)
    return 2 * side**3 / min(spent)


def peak_memory_gb(device: torch.device) -> float:
    """Most memory in use so far, in 10^9 bytes: of the device's tensors, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
