"""A segmenter whose boundaries are moved to keyframes: what happens from one, when it happens from the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from la4vla.construction.durations import check_times, steps_of
from la4vla.construction.keyframes import KeyframeDetector
from la4vla.construction.segmenters.base import Pending, Segmenter
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode, Segment

LEAST_STEPS = 3


@dataclass(frozen=True)
class HybridSegmenter(Segmenter):
    """Moves each boundary of another segmenter to the nearest keyframe within a window.

    A vision-language model sees one frame every half second and names times to about that; joints and gripper are read
    at every step. The ends of the episode stay, and order and shortest length are kept; where two boundaries want one
    keyframe, the nearer gets it.

    Args:
        segmenter: Proposes the segments.
        keyframes: Finds the moments to move to.
        window_s: Farthest move in seconds; about the time between two frames shown.
        min_s: Shortest segment that a move may leave, at least three steps.

    Raises:
        ValueError: If a number is out of range.
    """

    segmenter: Segmenter
    keyframes: KeyframeDetector = field(default_factory=KeyframeDetector)
    window_s: float = 0.5
    min_s: float = 0.0375

    def __post_init__(self) -> None:
        check_times(window_s=self.window_s, min_s=self.min_s)

    @property
    def needs_frames(self) -> bool:
        """Whether episodes must come with their frames."""
        return self.segmenter.needs_frames

    @property
    def metres_per_unit(self) -> float | None:
        """What the other segmenter takes a unit of translational action for."""
        return self.segmenter.metres_per_unit

    def check(self, body: Embodiment) -> None:
        """Refuse what the other segmenter refuses, and a gripper whose transitions cannot be told."""
        self.segmenter.check(body)
        self.keyframes.check(body)

    def segment(self, episode: Episode) -> list[Segment]:
        """The proposed segments of ``episode`` with moved boundaries."""
        return self.begin(episode).result()

    def begin(self, episode: Episode) -> Pending:
        """Begin as the other segmenter does; boundaries are moved when it is done."""
        steps = [keyframe.step for keyframe in self.keyframes.detect(episode)]
        hz, length = episode.embodiment.control_hz, len(episode)
        window, least = round(self.window_s * hz), steps_of(self.min_s, hz, LEAST_STEPS)
        proposed = self.segmenter.begin(episode)

        def moved() -> list[Segment]:
            segments = proposed.result()
            at = snap({b for s in segments for b in (s.start, s.stop)}, steps, length, window, least)
            return [replace(segment, start=at[segment.start], stop=at[segment.stop]) for segment in segments]

        return Pending(moved, proposed.cancel)

    def outlook(self, episodes: Iterable[Episode], total: int) -> list[str]:
        """What the other segmenter would cost."""
        return self.segmenter.outlook(episodes, total)

    def account(self) -> list[str]:
        """What the other segmenter has cost."""
        return self.segmenter.account()


def snap(
    boundaries: Iterable[int], keyframes: Sequence[int], length: int, window: int, min_steps: int = 1
) -> dict[int, int]:
    """Where each boundary goes: to the nearest keyframe, nearer pairs first, each keyframe to one boundary.

    Args:
        boundaries: Steps from 0 to ``length``; those two stay.
        keyframes: Steps to move to.
        length: Steps of the episode.
        window: Farthest move in steps.
        min_steps: Neighbouring boundaries are not brought nearer to each other than this.
    """
    order = sorted({0, length, *boundaries})
    at = {boundary: boundary for boundary in order}
    after = dict(pairwise(order))
    before = {right: left for left, right in after.items()}
    inner = [boundary for boundary in order if 0 < boundary < length]
    near = sorted((abs(b - k), b, k) for b in inner for k in set(keyframes) if abs(b - k) <= window)
    settled, taken = set[int](), set[int]()
    for _, boundary, keyframe in near:
        if boundary in settled or keyframe in taken:
            continue
        left, right = at[before[boundary]], at[after[boundary]]
        # Pieces that were shorter to begin with may stay as short.
        if keyframe - left >= min(min_steps, boundary - left) and right - keyframe >= min(min_steps, right - boundary):
            at[boundary] = keyframe
            settled.add(boundary)
            taken.add(keyframe)
    return at
