"""Keyframes: moments when the arm rests or the gripper opens or closes (LA4VLA, section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from la4vla.construction.durations import check_times, odd_steps_of, steps_of
from la4vla.construction.unwrapped_orientation import unwrapped_orientation
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

LEAST_STEPS = 3  # a window of fewer averages nothing
Event = Literal["static", "gripper_open", "gripper_close"]


@dataclass(frozen=True)
class Keyframe:
    """A step of an episode and what happens there; ``time_s`` is the step in seconds."""

    step: int
    event: Event
    time_s: float


@dataclass(frozen=True)
class KeyframeDetector:
    """Finds low-motion intervals of the arm and transitions of the gripper.

    The paper (section 7.1) names every setting, but its numbers did not survive publication; the defaults are ours,
    with the reason beside each. Times are in seconds and counted at the rate of each demonstration, with a least number
    of steps below which a window averages nothing. Three things are fixed as the paper has them: differences are
    divided by each dimension's greatest magnitude (symmetric min-max, so that zero stays zero), dimensions are joined
    by a weighted mean of magnitudes, and a static keyframe is the middle of its interval. Readings of the gripper that
    leap and come back within half a window are glitches of its encoder, and left out.

    Args:
        smoothing_s: Length of the Savitzky-Golay filter over the state differences, an odd number of steps and two more
            than its order needs. It averages out the jitter of encoders, and is half the shortest pause of interest, a
            quarter of a second.
        smoothing_order: Order of its polynomials; 2 keeps the height of speed peaks, which the threshold rests on,
            where 0 or 1 would flatten them and 3 or more would follow the noise.
        weights: One weight per arm dimension in the mean of magnitudes; None weighs all alike, because normalised
            dimensions have no units left that would favour one.
        static_ratio: A step is a static candidate where its magnitude is below this fraction of the episode's mean
            magnitude (the adaptive threshold): relative, so that slow and fast demonstrators are treated alike; a
            fifth, because an arm that aligns still creeps.
        static_window_s: Length of the window around a step that is judged with it; shorter than the filter, which has
            already joined its neighbours.
        static_proportion: Share of that window that must be candidates; 4 of 5, so that one jerk does not end a pause.
        gripper_threshold: Opening, between 0 (the episode's least) and 1 (its greatest), that a transition crosses;
            the middle, which prefers neither state.
        gripper_window_s: Time averaged before and after a candidate transition, at least two steps; longer than the
            gripper's jitter, shorter than any time it stays closed.
        gripper_gap_s: Transitions closer than this are one, the first; no operator opens and closes in less.
        gripper_range: An opening that varies by less than this fraction of the embodiment's stroke has no
            transitions; without it min-max normalisation would turn a resting gripper's noise into events. (Ours; the
            paper has no such guard.)

    Raises:
        ValueError: If a number is out of range.
    """

    smoothing_s: float = 0.1375
    smoothing_order: int = 2
    weights: tuple[float, ...] | None = None
    static_ratio: float = 0.2
    static_window_s: float = 0.0625
    static_proportion: float = 0.8
    gripper_threshold: float = 0.5
    gripper_window_s: float = 0.0625
    gripper_gap_s: float = 0.125
    gripper_range: float = 0.1

    def __post_init__(self) -> None:
        check_times(
            smoothing_s=self.smoothing_s,
            static_window_s=self.static_window_s,
            gripper_window_s=self.gripper_window_s,
            gripper_gap_s=self.gripper_gap_s,
        )
        if self.smoothing_order < 0 or self.static_ratio < 0:
            raise ValueError(
                f"smoothing_order and static_ratio cannot be negative, got {self.smoothing_order} and "
                f"{self.static_ratio}."
            )
        shares = (self.static_proportion, self.gripper_threshold, self.gripper_range)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(
                "static_proportion, gripper_threshold and gripper_range must lie in 0..1, got "
                f"{', '.join(map(str, shares))}."
            )

    def check(self, body: Embodiment) -> None:
        """Refuse a body with a gripper of which nobody knows when it is open.

        Raises:
            ValueError: In a sentence that names what is missing.
        """
        if body.gripper is not None:
            body.require("Finding when the gripper opens and closes", "gripper_open", "gripper_closed")

    def detect(self, episode: Episode) -> list[Keyframe]:
        """All keyframes of an episode, in temporal order."""
        found: list[tuple[int, Event]] = [
            ((start + stop - 1) // 2, "static") for start, stop in self.static_intervals(episode)
        ]
        found += self.gripper_transitions(episode)
        hz = episode.embodiment.control_hz
        return [Keyframe(step, event, step / hz) for step, event in sorted(found)]

    def magnitude(self, episode: Episode) -> np.ndarray:
        """Scalar arm motion per step, ``(T,)`` from 0 to 1: weighted mean of normalised state differences.

        Raises:
            ValueError: If there are not as many weights as arm dimensions.
        """
        body, arm = episode.embodiment, episode.proprioception.astype(np.float64)
        if body.orientation is not None and body.orientation_form is not None:
            dims = list(body.orientation)
            arm[:, dims] = unwrapped_orientation(arm[:, dims], body.orientation_form)
        if body.gripper is not None:
            arm = np.delete(arm, body.gripper, axis=1)
        if self.weights is not None and len(self.weights) != arm.shape[1]:
            raise ValueError(
                f"weights must hold one number for each of the {arm.shape[1]} arm dimensions of "
                f"{body.name}, got {len(self.weights)}."
            )
        if len(arm) < 2:
            return np.zeros(len(arm))
        differences = np.diff(arm, axis=0)
        window = odd_steps_of(self.smoothing_s, body.control_hz, self.smoothing_order + 3)
        if len(differences) >= window:
            differences = savgol_filter(differences, window, self.smoothing_order, axis=0)
        greatest = np.abs(differences).max(axis=0)
        # Symmetric min-max: zero stays zero. A dimension that never moves says nothing.
        normalised = differences / np.where(greatest > 1e-9, greatest, np.inf)
        magnitude = np.average(np.abs(normalised), axis=1, weights=self.weights)
        return np.append(magnitude, magnitude[-1])

    def static_intervals(self, episode: Episode) -> list[tuple[int, int]]:
        """Half-open intervals of steps in which the arm rests."""
        magnitude = self.magnitude(episode)
        still = magnitude < self.static_ratio * magnitude.mean()
        window = steps_of(self.static_window_s, episode.embodiment.control_hz, LEAST_STEPS)
        share = _windowed(still, window) / _windowed(np.ones(len(still)), window)
        return runs(still & (share >= self.static_proportion))

    def gripper_transitions(self, episode: Episode) -> list[tuple[int, Event]]:
        """Steps at which the mean opening before and after lie on different sides of the threshold."""
        body = episode.embodiment
        window = steps_of(self.gripper_window_s, body.control_hz, LEAST_STEPS - 1)
        if body.gripper is None or len(episode) < 2 * window:
            return []
        jitter = odd_steps_of(self.gripper_window_s, body.control_hz, LEAST_STEPS)
        opening = without_glitches(body.opening_of(episode.proprioception), jitter, self.gripper_range)
        least, greatest = opening.min(), opening.max()
        if greatest - least < self.gripper_range:
            return []
        opening = (opening - least) / (greatest - least)
        means = np.convolve(opening, np.ones(window) / window, "valid")
        before, after = means[:-window], means[window:]
        closes = (before >= self.gripper_threshold) & (after < self.gripper_threshold)
        opens = (before < self.gripper_threshold) & (after >= self.gripper_threshold)
        events: list[tuple[int, Event]] = [((a + b - 1) // 2 + window, "gripper_close") for a, b in runs(closes)]
        events += [((a + b - 1) // 2 + window, "gripper_open") for a, b in runs(opens)]
        events.sort()
        gap = steps_of(self.gripper_gap_s, body.control_hz, 2 * window)
        return [e for i, e in enumerate(events) if i == 0 or e[0] - events[i - 1][0] >= gap]


def without_glitches(values: np.ndarray, window: int, least: float) -> np.ndarray:
    """``values``, ``(T,)``, with the median of their window, an odd number, where they are off it by over ``least``."""
    middle = median_filter(values, window, mode="nearest")
    clean: np.ndarray = np.where(np.abs(values - middle) > least, middle, values)
    return clean


def _windowed(values: np.ndarray, window: int) -> np.ndarray:
    """Sums over the window around each value, cut off at the ends; as many as there are values."""
    # numpy's "same" has the length of the longer of the two, and an episode may be shorter than the window
    begin = (window - 1) // 2
    sums: np.ndarray = np.convolve(values, np.ones(window))[begin : begin + len(values)]
    return sums


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The maximal half-open intervals in which ``mask`` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
