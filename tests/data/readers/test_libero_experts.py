"""A demonstration of LIBERO is a function of its key, and shows how the thing is let go."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from la4vla.data.readers.libero_experts import LiberoExperts
from la4vla.simulators.libero_body import LIBERO
from la4vla.simulators.libero_expert import LiberoExpert
from la4vla.simulators.libero_tasks import SELECTIONS

TASK = "pick_up_the_black_bowl_from_table_center_and_place_it_on_the_plate"


@pytest.fixture(scope="module")
def reader():
    reader = LiberoExperts(tasks=[TASK], frame_every=5, action_noise=0.1, linger_steps=12)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def episode(reader):
    return reader.read((TASK, 0), True, Counter())


@pytest.mark.libero
def test_frames_do_not_change_the_numbers_and_show_their_steps(reader, episode):
    blind = pickle.loads(pickle.dumps(LiberoExperts(tasks="spatial", action_noise=0.1, linger_steps=12)))
    numbers = blind.read((TASK, 0), False, Counter())
    blind.close()
    np.testing.assert_array_equal(numbers.actions, episode.actions)
    np.testing.assert_array_equal(numbers.proprioception, episode.proprioception)
    np.testing.assert_array_equal(episode.frame_steps, np.arange(0, len(episode), 5))
    assert not numbers.frames and tuple(episode.frames) == LIBERO.cameras
    for frames in episode.frames.values():
        assert len(frames) == len(episode.frame_steps) and frames[0].shape == (64, 64, 3)
        assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50


@pytest.mark.libero
def test_what_is_recorded_is_the_experts_clean_command_until_the_hand_has_let_go(episode):
    expert = LiberoExpert()
    commands = np.stack([expert.act(row.astype(np.float64)) for row in episode.privileged])
    np.testing.assert_allclose(episode.actions, commands, atol=1e-3)
    assert episode.actions.shape[1] == len(LIBERO.actions) and np.abs(episode.actions).max() == 1
    closing = episode.actions[:, LIBERO.gripper_action] > 0
    assert not closing[0] and closing.any() and not closing[-1]
    bowl, plate = episode.privileged[-1, 11:14], episode.privileged[-1, 24:27]
    assert np.linalg.norm((bowl - plate)[:2]) < 0.03
    assert episode.instruction == "pick up the black bowl from table center and place it on the plate"


@pytest.mark.libero
def test_failed_demonstrations_are_dropped_counted_and_tried_again(reader, monkeypatch):
    monkeypatch.setattr(reader, "max_steps", 4)
    monkeypatch.setattr(reader, "attempts", 2)
    dropped: Counter[str] = Counter()
    with pytest.raises(ValueError, match=f"failed 2 times in a row at {TASK} number 1"):
        reader.read((TASK, 1), False, dropped)
    assert dropped == {"expert failed": 2}


def test_keys_follow_the_selection():
    reader = LiberoExperts(tasks=["object", TASK], episodes=3)
    assert len(reader.keys()) == 33
    assert reader.keys("spatial", 2) == [(TASK, 0), (TASK, 1)]
    assert {task for task, _ in reader.keys("object")} == set(SELECTIONS["object"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"view": "libero_65"}, "no view 'libero_65'"),
        ({"tasks": ["objct"]}, "Did you mean 'object'"),
        ({"frame_every": 0}, "at least 1"),
        ({"action_noise": -0.1}, "at least 0"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        LiberoExperts(**settings)


def test_what_the_reader_does_not_read_is_refused():
    with pytest.raises(ValueError, match="do not include pick_up_the_milk"):
        LiberoExperts(tasks="spatial").keys(["pick_up_the_milk_and_place_it_in_the_basket"])
    with pytest.raises(ValueError, match="do not include goal"):
        LiberoExperts(tasks="spatial").keys("goal")
    with pytest.raises(ValueError, match="wants 20 episodes a task, the reader reads 10"):
        LiberoExperts().keys("all", 20)
