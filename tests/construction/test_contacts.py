"""A hand that falls short of its commands is found; one that lags, brakes or is noisy is not."""

from __future__ import annotations

import pytest

from la4vla.construction.contacts import ContactDetector

STAGES = [("downward", 30, 1.0), ("forward", 40, 1.0), ("left", 30, 0.6), ("forward", 30, 1.0)]


def test_free_motion_with_lag_turns_and_noise_is_no_contact(lagging, tiny_arm):
    for gain in (0.009, 0.002):
        assert ContactDetector().find(lagging(tiny_arm, STAGES, gain=gain, noise=0.1)) == []


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_hand_that_is_held_back_is_found_where_it_is(lagging, tiny_arm, share):
    found = ContactDetector().find(lagging(tiny_arm, STAGES, [(50, 70, share)], noise=0.1))
    assert found and min(start for start, _ in found) == pytest.approx(50, abs=6)
    assert max(stop for _, stop in found) == pytest.approx(70, abs=8)


def test_a_slight_shortfall_is_contact_only_where_the_ratio_says_so(lagging, tiny_arm):
    episode = lagging(tiny_arm, STAGES, [(50, 70, 0.9)])
    assert ContactDetector(ratio=0.8).find(episode) == []
    assert ContactDetector(ratio=0.97).find(episode)


def test_an_episode_too_short_to_learn_from_has_none(lagging, tiny_arm):
    assert ContactDetector().find(lagging(tiny_arm, [("forward", 20, 1.0)], [(5, 20, 0.0)])) == []


@pytest.mark.parametrize("settings", [{"lag_s": -1.0}, {"ratio": 0.0}, {"free_share": 1.5}, {"min_speed": -1.0}])
def test_numbers_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        ContactDetector(**settings)
