from __future__ import annotations

import numpy as np
import pytest

from la4vla.data.chunking import Windows
from la4vla.data.shards import Shards


@pytest.fixture
def shards(tmp_path, tiny_shards):
    return Shards(tiny_shards(tmp_path / "s", frames=True, frame_every=3))


@pytest.mark.parametrize("horizon", [1, 4, 40])
def test_windows_hold_what_the_records_hold(shards, horizon):
    windows = Windows(shards, "masked", horizon)
    assert len(windows) == len(shards.actions)
    chunks = windows.gather(np.arange(len(windows)))
    window = 0
    for i in range(len(shards)):
        record = shards.record(i)
        for step in range(len(record)):
            real = record.actions[step : step + horizon]
            assert np.array_equal(chunks.actions[window, : len(real)], real)
            assert (chunks.actions[window, len(real) :] == 0).all()
            assert chunks.valid[window].tolist() == [k < len(real) for k in range(horizon)]
            assert np.array_equal(chunks.proprioception[window], record.proprioception[step])
            assert windows.instructions(np.array([window])) == [record.instruction]
            window += 1


def test_visible_windows_start_where_frames_are(shards):
    masked, visible = Windows(shards, "masked", 4), Windows(shards, "visible", 4)
    assert len(visible) == len(shards.frame_steps) < len(masked)
    assert visible.frames.tolist() == list(range(len(visible)))
    for window, (row, record) in enumerate(zip(visible.rows, visible.records, strict=True)):
        assert row - shards.starts[record] == shards.frame_steps[window]
        assert shards.frame_starts[record] <= window < shards.frame_starts[record + 1]


def test_a_visible_window_has_the_actions_of_its_masked_twin(shards):
    masked, visible = Windows(shards, "masked", 4), Windows(shards, "visible", 4)
    seen = visible.gather(np.arange(len(visible)))
    blind = masked.gather(visible.rows)
    for one, other in zip(seen, blind, strict=True):
        assert np.array_equal(one, other)


def test_the_horizon_changes_without_a_rebuild(shards):
    short, long = (Windows(shards, "masked", horizon).gather(np.arange(20)) for horizon in (2, 5))
    assert np.array_equal(short.actions, long.actions[:, :2]) and np.array_equal(short.valid, long.valid[:, :2])


def test_gathering_leaves_the_shards_alone(shards):
    before = shards.actions.copy()
    Windows(shards, "masked", 40).gather(np.arange(len(shards.actions)))
    assert np.array_equal(shards.actions, before)


def test_a_chunk_holds_an_action(shards):
    with pytest.raises(ValueError, match="horizon is the number of actions in a chunk, at least 1, got 0"):
        Windows(shards, "masked", 0)
