"""Frames are picked by time, first and last included, and shrunk to size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.vlm.frames import FrameSampler
from la4vla.data.transforms import decode_jpeg
from la4vla.data.unusable import UnusableEpisode


def seen(pick, every: int = 1, size=(48, 64)):
    """The pick, 124 steps at 20 Hz, with a frame at every so many steps whose grey level is its step."""
    steps = np.arange(0, len(pick), every)
    frames = [np.full((*size, 3), step, dtype=np.uint8) for step in steps]
    return replace(pick, frames={"eye": frames, "hand": frames}, frame_steps=steps)


def grey(jpegs) -> list[int]:
    return [round(float(decode_jpeg(jpeg).mean())) for jpeg in jpegs]


def test_frames_are_taken_at_the_rate_and_say_their_time(pick):
    eye, hand = FrameSampler(rate_hz=2.0).sample(seen(pick))
    steps = [*range(0, 124, 10), len(pick) - 1]
    assert eye.camera == "eye" and hand.camera == "hand" and eye.times_s == hand.times_s
    assert eye.times_s == pytest.approx([step / 20 for step in steps])
    assert grey(eye.jpegs) == pytest.approx(steps, abs=1)


def test_sparse_frames_are_shown_once_each_at_their_own_time(pick):
    (eye, _) = FrameSampler(rate_hz=10.0).sample(seen(pick, every=25))
    assert eye.times_s == pytest.approx([0, 1.25, 2.5, 3.75, 5.0]) and len(eye.jpegs) == 5


def test_a_long_episode_is_shown_at_a_lower_rate(pick):
    (eye,) = FrameSampler(rate_hz=5.0, most_frames=8, cameras=["eye"]).sample(seen(pick))
    assert len(eye.jpegs) == 8 and eye.times_s[0] == 0 and eye.times_s[-1] == (len(pick) - 1) / 20


def test_large_frames_are_shrunk_and_small_ones_left(pick):
    (eye, _) = FrameSampler(longest_px=32).sample(seen(pick))
    assert (eye.width_px, eye.height_px) == (32, 24) and decode_jpeg(eye.jpegs[0]).shape == (24, 32, 3)
    (eye, _) = FrameSampler(longest_px=320).sample(seen(pick))
    assert (eye.width_px, eye.height_px) == (64, 48) and decode_jpeg(eye.jpegs[0]).shape == (48, 64, 3)


def test_frames_are_read_front_to_back_and_once(pick):
    asked = []

    class Tape(list):
        def __getitem__(self, row):
            asked.append(row)
            return super().__getitem__(row)

    episode = seen(pick)
    tape = Tape(episode.frames["eye"])
    FrameSampler().sample(replace(episode, frames={"eye": tape}))
    assert asked == sorted(set(asked)) and len(asked) > 5


def test_what_cannot_be_shown_is_said(pick):
    with pytest.raises(UnusableEpisode, match="there are no frames of wrist"):
        FrameSampler(cameras=["eye", "wrist"]).sample(seen(pick))
    with pytest.raises(UnusableEpisode, match="there are no frames, and"):
        FrameSampler().sample(pick)
    with pytest.raises(ValueError, match="rate_hz must be above 0"):
        FrameSampler(rate_hz=0)
