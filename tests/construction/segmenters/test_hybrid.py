"""Boundaries go to the nearest keyframe, within the window, without disorder."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from la4vla.construction.keyframes import KeyframeDetector
from la4vla.construction.segmenters.base import Segmenter
from la4vla.construction.segmenters.hybrid import HybridSegmenter, snap
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive


@dataclass(frozen=True)
class Proposing(Segmenter):
    """Proposes the same intervals for every episode."""

    intervals: tuple[tuple[int, int], ...]

    def segment(self, episode: Episode) -> list[Segment]:
        return [Segment(a, b, Primitive.WAIT, f"segment {a}") for a, b in self.intervals]


@pytest.mark.parametrize(
    ("boundaries", "keyframes", "expected"),
    [
        ([20, 40], [23, 39], [23, 39]),
        ([20, 40], [26, 39], [20, 39]),  # 26 is beyond the window
        ([20], [17, 22], [22]),  # the nearer of two
        ([20], [18, 22], [18]),  # of two as near, the earlier
        ([20, 24], [23], [20, 23]),  # one keyframe goes to the nearer boundary
        ([20, 24], [22], [22, 24]),
        ([20, 21, 24], [24], [20, 21, 24]),  # a boundary that is there already keeps its keyframe
        ([2, 98], [0, 100], [2, 98]),  # a move may not swallow what lies before or behind
        ([20, 30], [25, 26], [25, 26]),
    ],
)
def test_snapping(boundaries, keyframes, expected):
    at = snap(boundaries, keyframes, length=100, window=5)
    assert [at[b] for b in boundaries] == expected


def test_no_piece_is_made_shorter_than_the_least():
    assert snap([20, 30], [25, 26], length=100, window=5, min_steps=3) == {0: 0, 20: 20, 30: 26, 100: 100}
    # One that was shorter to begin with stays movable as a whole.
    at = snap([20, 22], [21, 23], length=100, window=1, min_steps=3)
    assert at[22] - at[20] >= 2


def test_order_holds_whatever_the_keyframes():
    boundaries = [5, 9, 14, 30, 31, 60, 95]
    for shift in range(40):
        keyframes = [(k * 7 + shift * 3) % 100 for k in range(shift)]
        at = snap(boundaries, keyframes, length=100, window=12, min_steps=2)
        moved = [at[b] for b in (0, *boundaries, 100)]
        assert moved == sorted(set(moved)) and moved[0] == 0 and moved[-1] == 100


def test_segments_move_with_their_boundaries_and_stay_adjacent(pick):
    # The gripper's transitions lie at 40 and 102; a cut at 45 and one at 100 belong to them.
    found = {k.step for k in KeyframeDetector().detect(pick)}
    assert {40, 102} <= {s for k in found for s in (k - 1, k, k + 1)}
    hybrid = HybridSegmenter(Proposing(((0, 20), (20, 45), (45, 100), (100, 120))), window_s=0.3)
    segments = hybrid.segment(pick)
    near = pytest.approx
    assert [(s.start, s.stop) for s in segments] == [
        (0, 20), (20, near(40, abs=2)), (near(40, abs=2), near(101, abs=2)), (near(101, abs=2), 120)
    ]  # fmt: skip
    assert all(a.stop == b.start for a, b in pairwise(segments))
    assert [s.instruction for s in segments] == ["segment 0", "segment 20", "segment 45", "segment 100"]
    assert HybridSegmenter(Proposing(((0, 45), (45, 120))), window_s=0.0).segment(pick)[0].stop == 45


def test_it_needs_and_costs_what_the_other_does(pick):
    hybrid = HybridSegmenter(Proposing(((0, 50),)))
    assert not hybrid.needs_frames and hybrid.account() == []
    assert hybrid.outlook([pick], 7) == ["Segmenting 7 episodes asks nobody and costs nothing."]
    with pytest.raises(ValueError, match="window_s must be a time in seconds"):
        HybridSegmenter(Proposing(()), window_s=-1.0)
