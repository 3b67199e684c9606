"""Keyframes lie where a scripted episode rests and where its gripper acts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.keyframes import KeyframeDetector


def test_a_rest_is_found_at_its_middle(pick):
    # The arm stands still from 35 to 46 while closing, and from 82 to 108 while resting and opening.
    static = [k for k in KeyframeDetector().detect(pick) if k.event == "static"]
    assert [k.step for k in static] == [pytest.approx(41, abs=2), pytest.approx(95, abs=2)]
    assert static[0].time_s == static[0].step / 20.0


def test_gripper_transitions_are_found_and_named(pick):
    events = [(k.step, k.event) for k in KeyframeDetector().detect(pick) if k.event != "static"]
    # The opening passes its middle, 0.75, five steps after each command.
    assert events == [(pytest.approx(40, abs=1), "gripper_close"), (pytest.approx(102, abs=1), "gripper_open")]


def test_a_body_of_the_opposite_convention_has_its_events_named_by_it(pick):
    inverted = replace(pick.embodiment, gripper_open=0.0, gripper_closed=1.0)
    numbers = pick.proprioception.copy()
    numbers[:, 3] = 1 - numbers[:, 3]
    events = KeyframeDetector().gripper_transitions(replace(pick, embodiment=inverted, proprioception=numbers))
    assert events == KeyframeDetector().gripper_transitions(pick)


def test_a_resting_grippers_noise_is_no_event(pick):
    numbers = pick.proprioception.copy()
    numbers[:, 3] = 1 - 0.05 * np.random.default_rng(0).random(len(numbers))
    assert not KeyframeDetector().gripper_transitions(replace(pick, proprioception=numbers))


def test_transitions_closer_than_the_gap_are_one(pick):
    numbers = pick.proprioception.copy()
    numbers[:, 3] = 1.0
    numbers[50:56, 3] = 0.0
    numbers[60:90, 3] = 0.0
    episode = replace(pick, proprioception=numbers)
    close = KeyframeDetector(gripper_window_s=0.1, gripper_gap_s=0.2).gripper_transitions(episode)
    far = KeyframeDetector(gripper_window_s=0.1, gripper_gap_s=1.0).gripper_transitions(episode)
    assert len(close) == 4
    assert [event for _, event in far] == ["gripper_close", "gripper_open"]


def test_the_threshold_adapts_to_the_episodes_speed(pick):
    slow = replace(pick, proprioception=pick.proprioception * np.float32([0.1, 0.1, 0.1, 1.0]))
    assert KeyframeDetector().static_intervals(slow) == KeyframeDetector().static_intervals(pick)


def test_weights_choose_what_counts_as_motion(pick):
    # Only z is weighed: moving forward and left is rest.
    upright = KeyframeDetector(weights=(0.0, 0.0, 1.0)).static_intervals(pick)
    assert upright[0][0] == 0 and upright[0][1] == pytest.approx(20, abs=6)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_episodes_shorter_than_every_window_have_no_keyframes(pick, steps):
    short = replace(pick, proprioception=pick.proprioception[:steps], actions=pick.actions[:steps])
    assert KeyframeDetector().detect(short) == []


def test_a_roll_written_with_either_sign_is_a_roll_at_rest(pick):
    numbers = pick.proprioception
    roll = np.pi + 0.01 * np.sin(np.arange(len(numbers)))  # crosses the seam again and again
    body = replace(
        pick.embodiment,
        proprioception=(*pick.embodiment.proprioception, "roll_rad", "pitch_rad", "yaw_rad"),
        orientation=(4, 5, 6),
        orientation_form="euler_xyz",
    )

    def seen(angle):
        turned = np.column_stack([numbers, angle, np.zeros((len(angle), 2))]).astype(np.float32)
        return KeyframeDetector(weights=(1, 1, 1, 0.05, 0, 0)).magnitude(
            replace(pick, embodiment=body, proprioception=turned)
        )

    np.testing.assert_allclose(seen((roll + np.pi) % (2 * np.pi) - np.pi), seen(roll), atol=1e-4)


def test_a_window_longer_than_the_episode_judges_what_there_is(pick):
    resting = np.repeat(pick.proprioception[:1], 4, axis=0)
    resting[3, 0] += 0.1
    short = replace(pick, proprioception=resting, actions=pick.actions[:4])
    # Differences of 0, 0, 0.1 and the last once more: two of four rest, all of them the window of every step.
    assert KeyframeDetector(static_window_s=0.45, static_proportion=0.5).static_intervals(short) == [(0, 2)]
    assert not KeyframeDetector(static_window_s=0.45, static_proportion=0.6).static_intervals(short)


def test_one_glitch_of_the_encoder_makes_and_erases_no_transition(pick):
    clean, numbers = KeyframeDetector().gripper_transitions(pick), pick.proprioception.copy()
    numbers[[5, 70, 110], 3] = [-40.0, 90.0, 90.0]
    assert len(clean) == 2
    assert KeyframeDetector().gripper_transitions(replace(pick, proprioception=numbers)) == clean


@pytest.mark.parametrize("hz", [10.0, 15.0, 20.0, 80.0])
def test_rests_and_transitions_lie_at_the_same_times_whatever_the_rate(pick, hz):
    times = np.arange(0, len(pick) / 20, 1 / hz)
    numbers = np.column_stack([np.interp(times, np.arange(len(pick)) / 20, column) for column in pick.proprioception.T])
    body = replace(pick.embodiment, control_hz=hz)
    found = KeyframeDetector().detect(replace(pick, embodiment=body, proprioception=numbers, actions=numbers))
    assert [k.event for k in found] == [k.event for k in KeyframeDetector().detect(pick)]
    expected = [k.time_s for k in KeyframeDetector().detect(pick)]
    np.testing.assert_allclose([k.time_s for k in found], expected, atol=0.15)


@pytest.mark.parametrize(
    "settings",
    [{"static_proportion": 1.2}, {"gripper_threshold": -0.1}, {"gripper_gap_s": -1.0}, {"static_ratio": -1.0}],
)
def test_numbers_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}.*, got"):
        KeyframeDetector(**settings)


def test_weights_must_fit_the_arm(pick):
    with pytest.raises(ValueError, match="each of the 3 arm dimensions of tiny_arm, got 2"):
        KeyframeDetector(weights=(1.0, 1.0)).detect(pick)
