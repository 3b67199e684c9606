"""Statistics as a LeRobot data set states them: per episode, and merged over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Stats = dict[str, np.ndarray]

# Pictures are many and alike: so many of an episode, and every so many pixels of each, are counted.
SAMPLED_PICTURES, PIXEL_STRIDE = 32, 4


def column_stats(values: np.ndarray) -> Stats:
    """Statistics of ``(T, d)`` or ``(T,)`` numbers, each ``(d,)`` or ``(1,)``."""
    rows = values[:, None] if values.ndim == 1 else values
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0, dtype=np.float64),
        "std": rows.std(axis=0, dtype=np.float64),
        "count": np.array([len(rows)]),
        **dict(zip(QUANTILES, np.quantile(rows.astype(np.float64), list(QUANTILES.values()), axis=0), strict=True)),
    }


def sampled_steps(steps: int) -> frozenset[int]:
    """The steps of an episode whose pictures are counted."""
    return frozenset(np.linspace(0, steps - 1, min(steps, SAMPLED_PICTURES)).astype(int).tolist())


def picture_stats(pictures: Sequence[np.ndarray]) -> Stats:
    """Statistics of ``(h, w, 3)`` uint8 pictures by channel, in 0 to 1, each ``(3, 1, 1)``; counts pictures."""
    pixels = np.concatenate([p[::PIXEL_STRIDE, ::PIXEL_STRIDE].reshape(-1, 3) for p in pictures]) / 255.0
    stats = {name: value[:, None, None] for name, value in column_stats(pixels).items()}
    return {**stats, "count": np.array([len(pictures)])}


def merged(parts: Sequence[Mapping[str, Stats]]) -> dict[str, Stats]:
    """The statistics of several episodes together; quantiles are means weighted by counts, as LeRobot defines them."""
    return {name: _merged([part[name] for part in parts]) for name in parts[0]}


def _merged(parts: Sequence[Stats]) -> Stats:
    counts = np.concatenate([part["count"] for part in parts])
    weights = counts / counts.sum()

    def average(name: str) -> np.ndarray:
        values = np.stack([part[name] for part in parts])
        mean: np.ndarray = np.tensordot(weights, values, axes=1)
        return mean

    mean = average("mean")
    spread = np.stack([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(np.tensordot(weights, spread, axes=1)),
        "count": counts.sum(keepdims=True),
        **{name: average(name) for name in QUANTILES},
    }


def plain(stats: Mapping[str, Stats]) -> dict[str, dict[str, Any]]:
    """The same as lists of plain numbers."""
    return {key: {name: value.tolist() for name, value in part.items()} for key, part in stats.items()}
