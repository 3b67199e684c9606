"""Contact that is felt in the motion: a hand that falls short of what its commands make of it in free space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from la4vla.construction.durations import check_times, steps_of
from la4vla.construction.keyframes import runs
from la4vla.schema.episode import Episode

LEAST_STEPS = 3
RIDGE = 1e-3  # of the mean squared command; keeps the taps finite where commands hardly vary


@dataclass(frozen=True)
class ContactDetector:
    """Finds the steps at which a commanded hand is held back.

    How the hand follows its commands in free space is learned from the episode itself: its velocity is regressed on the
    commands of the last ``lag_s``, with the same weights for all axes, and twice again without the steps that fit
    worst. So no gain or lag of a controller has to be known, and acceleration is not taken for contact. Contact is
    where the velocity falls short of the one expected.

    What it cannot tell: an object from a table or from the end of the workspace, both of which hold a hand back too;
    and a light object, which does not. A record whose actions are the motion that was achieved shows no contact at all.

    Args:
        lag_s: How long a command bears on the velocity: the time a controller takes to follow, at least two steps.
        free_share: Share of the steps, those that fit best, taken for free motion; demonstrations spend less than a
            third of their time against something.
        window_s: Time over which velocities are summed before they are compared, at least three steps; averages out
            the noise of actuators.
        ratio: Contact where the hand goes less than this share of the way expected, along that way. Chosen for the
            most contacts found at no more wrong claims than at smaller ratios.
        min_speed: Expected speed below which nothing is judged, as a share of the episode's greatest.
        min_s: Shorter evidence, and one of less than three steps, is chance.

    Raises:
        ValueError: If a number is out of range.
    """

    lag_s: float = 0.15
    free_share: float = 0.7
    window_s: float = 0.125
    ratio: float = 0.85
    min_speed: float = 0.4
    min_s: float = 0.075

    def __post_init__(self) -> None:
        check_times(lag_s=self.lag_s, window_s=self.window_s, min_s=self.min_s)
        if not all(0 < share <= 1 for share in (self.free_share, self.ratio)) or not 0 <= self.min_speed <= 1:
            raise ValueError(
                "free_share and ratio must lie above 0, up to 1, and min_speed in 0..1, got "
                f"{self.free_share}, {self.ratio} and {self.min_speed}."
            )

    def find(self, episode: Episode) -> list[tuple[int, int]]:
        """Half-open intervals of steps in which the hand is held back."""
        hz = episode.embodiment.control_hz
        taps, window = steps_of(self.lag_s, hz, LEAST_STEPS - 1), steps_of(self.window_s, hz, LEAST_STEPS)
        if len(episode) <= 2 * max(taps, window):
            return []
        moved, expected = self._velocities(episode, taps)
        moved, expected = (uniform_filter1d(v, window, axis=0, mode="nearest") for v in (moved, expected))
        speed = np.linalg.norm(expected, axis=1)
        along = (moved * expected).sum(axis=1) / np.maximum(speed, 1e-12)
        short = (along < self.ratio * speed) & (speed > self.min_speed * speed.max())
        short[:window] = False  # commands before the first step are unknown
        least = steps_of(self.min_s, hz, LEAST_STEPS)
        return [(start, stop) for start, stop in runs(short) if stop - start >= least]

    def _velocities(self, episode: Episode, taps: int) -> tuple[np.ndarray, np.ndarray]:
        """Metres a step, ``(T - 1, 3)`` each: as they were, and as the commands alone would have made them."""
        body = episode.embodiment
        moved = np.diff(body.position_of(episode.proprioception), axis=0)
        commands = body.translation_of(episode.actions[:-1])
        padded = np.pad(commands, ((taps - 1, 0), (0, 0)))
        past = np.stack([padded[taps - 1 - i : len(padded) - i] for i in range(taps)], axis=-1)
        ridge = RIDGE * float(np.mean(commands**2)) * np.eye(taps)
        free = np.ones(len(moved), dtype=bool)
        expected = moved
        for _ in range(3):
            x, y = past[free].reshape(-1, taps), moved[free].reshape(-1)
            expected = past @ np.linalg.solve(x.T @ x / len(x) + ridge + 1e-12 * np.eye(taps), x.T @ y / len(x))
            misfit = np.linalg.norm(moved - expected, axis=1)
            free = misfit <= np.quantile(misfit, self.free_share)
        return moved, expected
