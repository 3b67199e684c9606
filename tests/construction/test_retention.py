"""Retention against verdicts worked out by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from la4vla.construction.export import Export, segment_record
from la4vla.construction.rating import Rating, write_ratings
from la4vla.construction.retention import Retention, verdicts_of
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive


@pytest.fixture
def episode(tiny_arm) -> Episode:
    numbers = np.arange(400, dtype=np.float32).reshape(100, 4)
    return Episode("door-0000", "door", "open it", tiny_arm, numbers, numbers)


SEGMENTS = [Segment(start, start + 20, Primitive.MOVE, f"Move {start}") for start in (0, 20, 40, 60, 80)]


def rate(start: int, *scores: int, **more) -> list[Rating]:
    return [
        Rating(segment=f"door-0000-{start:04d}", annotator=f"a{i}", quality=score, confidence=0, **more)
        for i, score in enumerate(scores)
    ]


def retained(tmp_path, episode, ratings, least=2.0):
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
    write_ratings(path, ratings)
    phases, dropped = Counter[str](), Counter[str]()
    kept, strays = Retention(str(path), least).retained(episode, SEGMENTS, phases, dropped)
    return kept, strays, phases, dropped


def test_the_mean_decides_and_confidence_does_not(tmp_path, episode):
    ratings = [*rate(0, 2), *rate(20, 1), *rate(40, 1, 3), *rate(60, 2, 1)]  # means 2, 1, 2, 1.5; 80 is not rated
    kept, strays, phases, dropped = retained(tmp_path, episode, ratings)
    assert [(s.start, s.quality) for s in kept] == [(0, 2.0), (40, 2.0)] and not strays
    assert phases == Counter(verified=2, verified_frames=40)
    assert dropped == Counter({"quality below 2": 2, "not rated": 1})
    assert [s.start for s in retained(tmp_path, episode, ratings, least=1.5)[0]] == [0, 40, 60]


def test_boundaries_move_by_the_mean_halves_towards_the_proposal():
    def shifts(*pairs: tuple[int, int]) -> tuple[int, int]:
        ratings = [
            Rating(segment="e-0000", annotator=str(i), quality=2, confidence=2, shift_start=a, shift_stop=b)
            for i, (a, b) in enumerate(pairs)
        ]
        verdict = verdicts_of(ratings)["e-0000"]
        return verdict.shift_start, verdict.shift_stop

    assert shifts((4, -8)) == (4, -8)
    assert shifts((4, -8), (0, 0)) == (2, -4)
    assert shifts((1, -1), (0, 0)) == (0, 0)
    assert shifts((3, -3), (0, 0)) == (1, -1)
    assert shifts((2, -2), (2, -2), (1, -1)) == (2, -2)


def test_moved_segments_keep_their_name_and_take_their_rows_from_the_episode(tmp_path, episode):
    ratings = [*rate(20, 3, shift_start=-4, shift_stop=6), *rate(80, 3, shift_stop=8)]
    kept, _, phases, _ = retained(tmp_path, episode, ratings)
    assert [(s.start, s.stop) for s in kept] == [(16, 46), (80, 100)]  # nothing lies beyond the episode's end
    record = segment_record(episode, kept[0], {})
    assert (record.key, record.start, record.quality, record.instruction) == ("door-0000-0020", 16, 3.0, "Move 20")
    np.testing.assert_array_equal(record.actions, episode.actions[16:46])
    assert phases["verified_frames"] == 30 + 20
    assert segment_record(episode, SEGMENTS[1], {}).key == "door-0000-0020"


def test_ratings_of_another_segment_of_that_name_do_not_count(tmp_path, episode):
    ratings = [*rate(0, 3, length=20, instruction="Move 0"), *rate(20, 3, length=19), *rate(40, 3, instruction="Wait")]
    kept, strays, _, dropped = retained(tmp_path, episode, [*ratings, *rate(33, 3)])
    assert [s.start for s in kept] == [0]
    assert dropped == Counter({"not rated": 4, "ratings of other segments": 3})
    assert len(strays) == 1 and "door-0000-0020, door-0000-0033, door-0000-0040" in strays[0]


def test_a_rating_counts_beside_one_of_the_segment_that_had_its_key_before(tmp_path, episode):
    before = Rating(segment="door-0000-0020", annotator="anna", quality=0, confidence=2, length=35, shift_stop=-20)
    now = Rating(segment="door-0000-0020", annotator="ben", quality=3, confidence=2, length=20, instruction="Move 20")
    kept, strays, _, dropped = retained(tmp_path, episode, [before, now])
    assert [(s.start, s.stop, s.quality) for s in kept] == [(20, 40, 3.0)]
    assert dropped == Counter({"not rated": 4, "ratings of other segments": 1}) and "door-0000-0020" in strays[0]


def test_what_makes_no_sense_is_refused_in_a_sentence(tmp_path, episode):
    with pytest.raises(ValueError, match=r"least_quality must lie in 0\.\.3, got 4"):
        Retention("x", 4)
    with pytest.raises(ValueError, match="move its boundaries past each other: steps 15 to 10"):
        retained(tmp_path, episode, rate(0, 3, shift_start=15, shift_stop=-10))
    with pytest.raises(ValueError, match="'door' is no key of a segment"):
        retained(tmp_path, episode, [Rating(segment="door", annotator="a", quality=1, confidence=1)])
    with pytest.raises(ValueError, match="unit of this export is the episode"):
        Export("episode", False, ratings=Retention("x"))
