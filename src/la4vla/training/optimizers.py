"""Parameter groups and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn


def parameter_groups(
    parts: Mapping[str, Sequence[nn.Parameter]], rates: Mapping[Any, float], learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """One group per part and decay: vectors (biases, norms, scales) are not decayed, matrices are.

    Args:
        parts: Trainable parameters by part of the policy.
        rates: Learning rate of a part as a multiple of ``learning_rate``; 1 where a part is not named.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay of the matrices.
    """
    groups = []
    for part, parameters in parts.items():
        for decayed in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1) == decayed]
            if chosen:
                groups.append(
                    {
                        "params": chosen,
                        "part": part,
                        "lr": learning_rate * rates.get(part, 1.0),
                        "weight_decay": weight_decay if decayed else 0.0,
                    }
                )
    return groups


def warmup_cosine(start: int, warmup: int, total: int) -> Callable[[int], float]:
    """Factor of the peak rate at each step: 0 before ``start``, a linear rise over ``warmup`` steps, a cosine to 0.

    Args:
        start: First step at which the part learns (the end of the head's warm-up for every other part).
        warmup: Steps of the linear rise.
        total: Step at which the cosine reaches 0.
    """

    def factor(step: int) -> float:
        if step < start:
            return 0.0
        rise = min(1.0, (step - start + 1) / max(1, warmup))
        done = min(1.0, max(0.0, (step - start - warmup) / max(1, total - start - warmup)))
        return rise * 0.5 * (1.0 + math.cos(math.pi * done))

    return factor
