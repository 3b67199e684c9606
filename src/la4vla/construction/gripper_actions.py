"""Closings of the gripper on an object, and releases of one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from la4vla.construction.grip import Grip
from la4vla.construction.pieces import commands
from la4vla.schema.episode import Episode


@dataclass(frozen=True)
class GripperActions:
    """Finds when the gripper acts on something; the arguments are those of the kinematic segmenter."""

    min_steps: int
    settle_steps: int
    settled_speed: float
    departure_speed: float

    def find(self, episode: Episode, grip: Grip) -> list[tuple[int, int]]:
        """Half-open intervals of steps, ascending: from the command until the fingers rest or the hand departs."""
        closed = grip.closed
        changes = (np.flatnonzero(closed[1:] != closed[:-1]) + 1).tolist()
        moving = np.abs(np.diff(grip.opening, append=np.nan)) >= self.settled_speed
        found = []
        for change, following in pairwise([*changes, len(closed)]):
            if not (grip.holding[change - 1] or grip.holding[change:following].any()):
                continue
            stop = min(change + self.settle_steps, following)
            fingers = np.flatnonzero(moving[change:stop])
            stop = min(stop, change + max(self.min_steps, int(fingers[-1]) + 1 if len(fingers) else 0))
            stop = self._departure(episode, change, stop)
            # What is left until something is held is no motion of its own.
            held = np.flatnonzero(grip.holding[stop : min(stop + self.min_steps, following)])
            stop += int(held[0]) if closed[change] and len(held) else 0
            if stop - change >= self.min_steps:
                found.append((change, stop))
        return found

    def _departure(self, episode: Episode, change: int, stop: int) -> int:
        """The step before ``stop`` at which the hand is sent elsewhere than it was going when the gripper acted."""
        sent = commands(episode)[change:stop]
        going = sent[: self.min_steps].mean(axis=0)
        fast = np.linalg.norm(sent, axis=1) > self.departure_speed
        # Going on as before is the end of the approach; a hand that had come to rest departs whichever way it goes.
        elsewhere = sent @ going < 0.5 * np.linalg.norm(sent, axis=1) * np.linalg.norm(going)
        rested = np.linalg.norm(going) < self.departure_speed
        leaves = np.flatnonzero(fast & (elsewhere | rested))
        leaves = leaves[leaves >= self.min_steps]
        return change + int(leaves[0]) if len(leaves) else stop
