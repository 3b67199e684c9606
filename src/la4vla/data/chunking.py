"""Windows: the action chunks a model trains on, cut from whole records while they are loaded."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from la4vla.data.shards import Shards


class Chunks(NamedTuple):
    """What ``b`` windows hold, in physical units.

    Args:
        proprioception: ``(b, S)`` float32 at each window's first step.
        actions: ``(b, H, A)`` float32; zeros beyond the record's end.
        valid: ``(b, H)`` bool: which steps lie inside the record.
    """

    proprioception: np.ndarray
    actions: np.ndarray
    valid: np.ndarray


class Windows:
    """All windows of one shard set at one horizon.

    A masked window may start at every step of a record. A visible one needs a frame, so it starts at the steps that
    have one; the masked window of the same record and step holds equal actions and proprioception. Windows never cross
    the end of their record: there the actions are zeros and ``valid`` is False.

    Args:
        shards: The open set.
        vision: Whether windows come with frames.
        horizon: Actions per window (``H``), at least 1.

    Attributes:
        rows: ``(N,)`` int64: row of ``shards.actions`` at which each window starts.
        records: ``(N,)`` int64: record each window lies in.
        frames: ``(N,)`` int64: row of ``shards.frame_steps`` that shows the first step; None where vision is masked.
    """

    def __init__(self, shards: Shards, vision: Literal["masked", "visible"], horizon: int) -> None:
        if horizon < 1:
            raise ValueError(f"horizon is the number of actions in a chunk, at least 1, got {horizon}.")
        self.shards, self.horizon = shards, horizon
        owned = np.diff(shards.frame_starts if vision == "visible" else shards.starts)
        self.records = np.repeat(np.arange(len(shards)), owned)
        self.rows = np.arange(len(shards.actions))
        self.frames: np.ndarray | None = None
        if vision == "visible":
            self.frames = np.arange(len(shards.frame_steps))
            self.rows = shards.starts[self.records] + shards.frame_steps

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, windows: np.ndarray) -> Chunks:
        """The numbers of ``windows``, ``(b,)`` indices."""
        rows, stops = self.rows[windows], self.shards.starts[self.records[windows] + 1]
        steps = rows[:, None] + np.arange(self.horizon)
        valid = steps < stops[:, None]
        actions = self.shards.actions[np.minimum(steps, stops[:, None] - 1)]
        return Chunks(self.shards.proprioception[rows], np.where(valid[..., None], actions, np.float32(0)), valid)

    def instructions(self, windows: np.ndarray) -> list[str]:
        """The instruction of each of ``windows``."""
        return [self.shards.records[record].instruction for record in self.records[windows].tolist()]
