"""What the gripper was told, how far it was open, and whether it held something, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import medfilt

from la4vla.construction.keyframes import runs, without_glitches
from la4vla.schema.episode import Episode

GLITCH = 0.1  # of the stroke: what leaps farther for one step is the encoder's glitch


@dataclass(frozen=True)
class Grip:
    """The gripper's history over ``T`` steps.

    Attributes:
        opening: ``(T,)`` 0 when closed on nothing and 1 when fully open; zeros without a gripper.
        closed: ``(T,)`` bool, whether it was told to be closed.
        holding: ``(T,)`` bool, whether it held something.
    """

    opening: np.ndarray
    closed: np.ndarray
    holding: np.ndarray

    @classmethod
    def read(
        cls,
        episode: Episode,
        close_above: float,
        held_opening: float,
        closing_left: float,
        settle_steps: int,
        blip_steps: int = 5,
    ) -> Grip:
        """The history of ``episode``'s gripper.

        A gripper holds from when its fingers have all but stopped closing, until they have begun to open: the command
        is earlier than either by what the fingers need to move.

        Args:
            episode: The episode.
            close_above: A command above this closes, from -1, which opens fully, to 1, which closes fully.
            held_opening: A gripper closed from the first step on is a fist, unless it stays open by more than this.
            closing_left: Share of the way to where the fingers come to rest that may be left when holding begins, or
                be gone again when it ends.
            settle_steps: Longest time that fingers take to open.
            blip_steps: A command that comes back within half of these is an expert's hesitation; odd.
        """
        opening = without_glitches(_opening(episode), 3, GLITCH)
        closed = medfilt((_command(episode, opening) > close_above).astype(np.float64), blip_steps) > 0.5
        holding = np.zeros(len(episode), dtype=bool)
        stretches = runs(closed)
        for (start, stop), (following, _) in zip(stretches, [*stretches, (len(episode), 0)][1:], strict=True):
            if start == 0:
                if np.median(opening[min(settle_steps, stop - 1) : stop]) > held_opening:
                    holding[start:stop] = True
                continue
            settled = float(np.median(opening[(start + stop) // 2 : stop]))
            slack = closing_left * max(opening[start] - settled, 0.0)
            begins = start + int(np.argmax(opening[start:stop] <= settled + slack))
            opened = opening[stop : min(following, stop + settle_steps)] > opening[stop - 1] + slack
            holding[begins : stop + (int(np.argmax(opened)) if opened.any() else 0)] = True
        return cls(opening, closed, holding)


def _command(episode: Episode, opening: np.ndarray) -> np.ndarray:
    """What the gripper is told per step: -1 opens fully, 1 closes fully."""
    body = episode.embodiment
    felt = 1.0 - 2.0 * opening if body.gripper is not None else -np.ones(len(episode))
    if body.gripper_action is None:
        return felt
    told = body.closing_of(episode.actions)
    return np.where(np.isnan(told), felt, told)  # until the first command, the gripper is as it stands


def _opening(episode: Episode) -> np.ndarray:
    body = episode.embodiment
    return np.zeros(len(episode)) if body.gripper is None else body.opening_of(episode.proprioception)
