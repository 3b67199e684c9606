"""A demonstration is a function of its key; noise perturbs what is done and not what is taught."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.simulators.metaworld import MetaworldEnvironment, MetaworldExpert
from la4vla.simulators.metaworld_tasks import SELECTIONS


def read(key=("drawer-open", 0), frames=False, **settings):
    reader = MetaworldExperts(tasks=["drawer-open", "reach"], **settings)
    return reader.read(key, frames, Counter())


def test_a_demonstration_depends_on_its_key_alone():
    reader = MetaworldExperts(tasks=["drawer-open", "reach"], action_noise=0.2)
    first = reader.read(("drawer-open", 3), False, Counter())
    reader.read(("reach", 0), False, Counter())
    again = pickle.loads(pickle.dumps(MetaworldExperts(action_noise=0.2))).read(("drawer-open", 3), False, Counter())
    np.testing.assert_array_equal(first.actions, again.actions)
    np.testing.assert_array_equal(first.proprioception, again.proprioception)
    assert first.key == "drawer-open-0003"
    assert not np.array_equal(first.proprioception[:, :3], read().proprioception[: len(first), :3])


def test_frames_do_not_change_the_numbers_and_show_their_steps():
    blind, seen = read(), read(frames=True, frame_every=3)
    np.testing.assert_array_equal(blind.actions, seen.actions)
    assert not blind.frames and not len(blind.frame_steps)
    np.testing.assert_array_equal(seen.frame_steps, np.arange(0, len(seen), 3))
    frames = seen.frames["corner2"]
    assert len(frames) == len(seen.frame_steps) and frames[0].shape == (64, 64, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50


def test_what_is_recorded_is_the_experts_clean_command():
    noisy = read(action_noise=0.3)
    expert = MetaworldExpert("drawer-open")
    commands = np.stack([expert.act(row.astype(np.float64)) for row in noisy.privileged])
    np.testing.assert_allclose(noisy.actions, commands, atol=1e-3)
    assert not np.array_equal(noisy.proprioception[5], read().proprioception[5])


def test_a_few_steps_after_success_are_kept():
    short, long = read(linger_steps=0), read(linger_steps=12)
    assert len(long) == len(short) + 12
    np.testing.assert_array_equal(long.actions[: len(short)], short.actions)


def test_failed_demonstrations_are_dropped_counted_and_tried_again(monkeypatch):
    reset = MetaworldEnvironment.reset
    seeds: list[int] = []

    def remember(self, seed, look=True):
        seeds.append(seed)
        self.max_steps = 500
        return reset(self, seed, look)

    monkeypatch.setattr(MetaworldEnvironment, "reset", remember)
    dropped: Counter[str] = Counter()
    with pytest.raises(ValueError, match="failed 3 times in a row at reach number 0"):
        MetaworldExperts(tasks=["reach"], max_steps=5, attempts=3).read(("reach", 0), False, dropped)
    assert dropped == {"expert failed": 3}
    assert len(set(seeds)) == 3


def test_keys_follow_the_selection():
    reader = MetaworldExperts(episodes=3)
    assert len(reader.keys()) == 150
    held_out = reader.keys("held_out", 2)
    assert held_out[:2] == [("button-press-topdown", 0), ("button-press-topdown", 1)] and len(held_out) == 20
    assert {task for task, _ in held_out} == set(SELECTIONS["held_out"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"view": "evo2"}, "no view 'evo2'"),
        ({"tasks": ["drawer-opn"]}, "Did you mean 'drawer-open'"),
        ({"tasks": "heldout"}, "Did you mean 'held_out'"),
        ({"frame_every": 0}, "at least 1"),
        ({"action_noise": -0.1}, "at least 0"),
        ({"max_steps": 500}, "must not exceed 500"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        MetaworldExperts(**settings)


def test_what_the_reader_does_not_read_is_refused():
    with pytest.raises(ValueError, match="do not include reach"):
        MetaworldExperts(tasks=["push"]).keys(["reach"])
    with pytest.raises(ValueError, match="wants 20 episodes a task, the reader reads 10"):
        MetaworldExperts().keys("all", 20)
