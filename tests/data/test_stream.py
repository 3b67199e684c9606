from __future__ import annotations

import numpy as np
import pytest

from la4vla.data.draws import mix, uniform
from la4vla.data.stream import SampleStream


def stream(weights=(2.0, 1.0, 0.5), sizes=(70, 40, 9), batch_size=8, seed=0, names=("a", "b", "c")):
    return SampleStream(names, weights, sizes, batch_size, seed)


def as_lists(plan):
    return [array.tolist() for array in plan]


def windows_of(made, source, batches):
    plans = [made.plan(n) for n in range(batches)]
    return np.concatenate([plan.window[plan.source == source] for plan in plans])


def test_a_batch_is_a_function_of_its_number():
    forward = [as_lists(stream().plan(n)) for n in range(12)]
    one = stream()
    assert [as_lists(one.plan(n)) for n in range(12)] == forward
    assert [as_lists(one.plan(n)) for n in (7, 3, 11, 0)] == [forward[n] for n in (7, 3, 11, 0)]
    assert [as_lists(stream(seed=1).plan(n)) for n in range(12)] != forward


def test_the_stream_is_the_same_on_every_machine():
    assert mix(3, "draw", np.arange(2)).tolist() == [3772769901808618473, 1444577365092528633]
    source, window, draw = as_lists(stream().plan(5))
    assert source == [0, 0, 1, 2, 0, 1, 0, 1]
    assert window == [31, 10, 35, 6, 8, 22, 18, 36]
    assert draw[:2] == [2152222997090411399, 6975522063769254442]


def test_weights_are_kept_in_every_batch_and_in_the_long_run():
    counts = np.array([np.bincount(stream().plan(n).source, minlength=3) for n in range(50)])
    wanted = 8 * np.array([2, 1, 0.5]) / 3.5
    assert (counts.sum(axis=1) == 8).all()
    assert (np.abs(counts - wanted) < 2).all()
    many = stream().consumed(20000)
    np.testing.assert_allclose(many / (20000 * 8), wanted / 8, atol=2e-3)


def test_consumed_counts_every_batch():
    made = stream()
    counts = sum(np.bincount(made.plan(n).source, minlength=3) for n in range(30))
    assert stream().consumed(30).tolist() == counts.tolist()


@pytest.mark.parametrize("source", [0, 1, 2])
def test_every_window_comes_once_per_epoch(source):
    made = stream()
    size = (70, 40, 9)[source]
    seen = windows_of(made, source, 80)
    epochs = [seen[k : k + size].tolist() for k in range(0, len(seen) - size + 1, size)]
    assert len(epochs) >= 2
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_an_order_depends_on_the_name_not_on_the_place():
    alone = windows_of(stream(), 0, 10)
    moved = SampleStream(("b", "a", "c"), (1.0, 2.0, 0.5), (40, 70, 9), 8, seed=0)
    shared = min(len(alone), len(found := windows_of(moved, 1, 10)))
    assert alone[:shared].tolist() == found[:shared].tolist()


def test_a_batch_may_be_larger_than_a_source():
    plan = stream(batch_size=200).plan(0)
    tiny = plan.window[plan.source == 2]
    assert len(tiny) > 18 and np.bincount(tiny).min() >= 2


def test_shares_are_slices_and_alike():
    plan = stream(batch_size=16).plan(3)
    shares = [plan.share(rank, 4) for rank in range(4)]
    assert [np.concatenate(arrays).tolist() for arrays in zip(*shares, strict=True)] == as_lists(plan)
    counts = np.array([np.bincount(share.source, minlength=3) for share in shares])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()


def test_draws_are_distinct_and_not_negative():
    draws = np.concatenate([stream().plan(n).draw for n in range(500)])
    assert len(set(draws.tolist())) == len(draws) and (draws >= 0).all() and draws.dtype == np.int64


def test_uniform_numbers_are_uniform():
    numbers = uniform(1, "x", np.arange(100000))
    assert 0 <= numbers.min() and numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    # chi-squared with 19 degrees of freedom exceeds 44 with a chance of 0.1 %
    assert (np.square(counts - 5000) / 5000).sum() < 44
