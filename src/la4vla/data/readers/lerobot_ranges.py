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
        low, high = _of_one_episode(meta, columns)
    return [(float(low[i]), float(high[i])) for i in dims] if len(low) == width else []


def _of_one_episode(meta: LeRobotMeta, columns: Sequence[str]) -> tuple[list[float], list[float]]:
    for entry in list(meta.episodes.values())[:ASKED]:
        try:
            rows = episode_rows(entry, columns, meta.fps, "?")
        except UnusableEpisode:
            continue  # it is told when it is read
        numbers = np.concatenate([rows[column] for column in columns], axis=1)
        return numbers.min(axis=0).tolist(), numbers.max(axis=0).tolist()
    return [], []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
