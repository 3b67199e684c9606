"""The ranges that a LeRobot data set's numbers span: evidence where their names say too little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from la4vla.data.readers.lerobot_meta import LeRobotMeta
from la4vla.data.readers.lerobot_rows import episode_rows
from la4vla.data.unusable import UnusableEpisode

Ranges = list[tuple[float, float]]
ASKED = 5  # episodes that are tried where there are no statistics


def ranges_of(meta: LeRobotMeta, columns: Sequence[str], dims: Sequence[int] | None) -> Ranges:
    """Least and greatest value of dimensions of the joined columns, by the statistics or else by one episode.

    Empty where neither can be read, or ``dims`` is None.
    """
    if dims is None:
        return []
    low, high = ([v for c in columns for v in _list(meta.stats.get(c, {}).get(end))] for end in ("min", "max"))
    width = sum(meta.features[column]["shape"][0] for column in columns)
    if not len(low) == len(high) == width:
        numbers = _of_one_episode(meta, columns)
        low, high = numbers.min(axis=0).tolist(), numbers.max(axis=0).tolist()
    return [(float(low[i]), float(high[i])) for i in dims] if len(low) == width else []


def mean_distances(
    meta: LeRobotMeta, columns: Sequence[str], dims: Sequence[int], others: Sequence[str], those: Sequence[int]
) -> list[float]:
    """Mean distance of each of ``dims`` of some columns from that of ``those`` of others, over one episode.

    Empty where none can be read.
    """
    numbers, width = _of_one_episode(meta, [*columns, *others]), sum(meta.features[c]["shape"][0] for c in columns)
    if numbers.shape[1] <= width:
        return []
    apart: list[float] = np.abs(numbers[:, list(dims)] - numbers[:, [width + j for j in those]]).mean(axis=0).tolist()
    return apart


def _of_one_episode(meta: LeRobotMeta, columns: Sequence[str]) -> np.ndarray:
    """``(T, d)``, the columns side by side; ``(1, 0)`` where none of the first episodes can be read."""
    for entry in list(meta.episodes.values())[:ASKED]:
        try:
            rows = episode_rows(entry, columns, meta.fps, "?")
        except UnusableEpisode:
            continue  # it is told when it is read
        return np.concatenate([rows[column] for column in columns], axis=1)
    return np.empty((1, 0))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
