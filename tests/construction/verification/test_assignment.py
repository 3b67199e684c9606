"""Who rates what."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from la4vla.construction.verification.assignment import assign, doubly_assigned

SEGMENTS = [f"e{n // 5}-{n:04d}" for n in range(100)]


def raters(queues):
    return {s: frozenset(n for n, queue in queues.items() if s in queue) for s in SEGMENTS}


@pytest.mark.parametrize("names", [["anna", "ben"], ["anna", "ben", "cleo"], ["a", "b", "c", "d", "e"]])
def test_the_share_is_exact_and_the_load_even(names):
    queues = assign(SEGMENTS, names, 0.25, 7, {})
    assert Counter(len(who) for who in raters(queues).values()) == {2: 25, 1: 75}
    assert sum(map(len, queues.values())) == 125
    assert max(map(len, queues.values())) - min(map(len, queues.values())) <= 1
    assert {s for s, who in raters(queues).items() if len(who) == 2} == doubly_assigned(SEGMENTS, 0.25, 7)


def test_everyone_is_paired_with_everyone():
    queues = assign(SEGMENTS, ["a", "b", "c", "d"], 1.0, 0, {})
    pairs = Counter(raters(queues).values())
    assert set(pairs) == {frozenset(pair) for pair in combinations("abcd", 2)} and min(pairs.values()) >= 8


def test_the_seed_decides_and_nothing_else():
    queues = assign(SEGMENTS, ["anna", "ben"], 0.3, 1, {})
    assert queues == assign(SEGMENTS[::-1], ["anna", "ben"], 0.3, 1, {})
    assert queues != assign(SEGMENTS, ["anna", "ben"], 0.3, 2, {})


def test_shared_segments_are_met_in_the_same_order():
    queues = assign(SEGMENTS, ["anna", "ben"], 0.4, 3, {})
    anna, ben = ([s for s in queue if s in doubly_assigned(SEGMENTS, 0.4, 3)] for queue in queues.values())
    assert anna == ben and len(anna) == 40


def test_dealing_again_in_mid_work_changes_nothing():
    names = ["anna", "ben", "cleo"]
    queues = assign(SEGMENTS, names, 0.2, 5, {})
    rated: dict[str, set[str]] = {}
    for name, count in zip(names, (40, 3, 17), strict=True):
        for segment in queues[name][:count]:
            rated.setdefault(segment, set()).add(name)
    assert assign(SEGMENTS, names, 0.2, 5, rated) == queues


def test_others_take_over_what_is_left_and_no_rating_is_wasted():
    first = assign(SEGMENTS, ["anna", "ben"], 0.2, 5, {})
    rated = {segment: {"ben"} for segment in first["ben"][:30]}
    queues = assign(SEGMENTS, ["anna", "cleo"], 0.2, 5, rated)
    doubles = doubly_assigned(SEGMENTS, 0.2, 5)
    for segment, who in raters(queues).items():
        assert len(who) + len(rated.get(segment, ())) == (2 if segment in doubles else 1)


def test_alone_the_second_ratings_wait():
    assert sorted(assign(SEGMENTS, ["anna"], 0.5, 0, {})["anna"]) == sorted(SEGMENTS)
    both = assign(SEGMENTS, ["anna", "ben"], 0.5, 0, {segment: {"anna"} for segment in SEGMENTS})
    assert set(both["ben"]) == doubly_assigned(SEGMENTS, 0.5, 0)


def test_bad_shares_and_names_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"double_share must lie in 0\.\.1, got 20"):
        assign(SEGMENTS, ["anna"], 20, 0, {})
    for names in ([], ["anna", "anna"], [""]):
        with pytest.raises(ValueError, match="annotators must be one or more different names"):
            assign(SEGMENTS, names, 0.2, 0, {})
