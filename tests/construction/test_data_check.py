"""The data are asked: what contradicts the embodiment is refused with figures, what agrees or is scarce is not."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.build import build
from la4vla.construction.card import read_card
from la4vla.construction.data_check import DataCheck, Evidence
from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

ARM = Embodiment(
    name="arm",
    proprioception=("x_m", "y_m", "z_m", "opening"),
    actions=("dx", "dy", "dz", "effort"),
    cameras=(),
    control_hz=20.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=3,
    gripper_open=1.0,
    gripper_closed=0.0,
    gripper_action=3,
    gripper_action_open=-1.0,
    gripper_action_closed=1.0,
    action_form="increment",
)
ENDS = {"gripper_action_open": 2.0, "gripper_action_closed": 1.0}


def as_it_is(felt, told):
    return felt, told


def evidence_of(body=ARM, change=as_it_is, count=4):
    """Of a hand that goes, closes on something, carries it, lets go and leaves; a command of 1 is 1 cm a step."""
    evidence = Evidence.none()
    for number in range(count):
        ways = np.random.default_rng(number).normal(size=(3, 3))
        stages = [(ways[0], 30, -1.0), (0 * ways[0], 15, 1.0), (ways[1], 30, 1.0), (0 * ways[0], 15, -1.0)]
        stages.append((ways[2], 20, -1.0))
        told = np.concatenate([np.tile([*(way / 2), effort], (steps, 1)) for way, steps, effort in stages])
        opening, now = [], 1.0
        for effort in told[:, 3]:
            opening.append(now)
            now = float(np.clip(now - 0.05 * effort, 0.5, 1.0))
        hand = 0.01 * np.concatenate([np.zeros((1, 3)), np.cumsum(told[:-1, :3], axis=0)])
        felt, told = change(np.column_stack([hand + np.array([0.4, 0.1, 0.3]), opening]), told)
        evidence += Evidence.of(Episode(f"e{number}", "task", "do it", body, felt, told))
    return evidence


def refusal(body=ARM, change=as_it_is, command_m=0.01, count=4):
    with pytest.raises(ValueError) as caught:
        DataCheck().judge(evidence_of(body, change, count), body, command_m)
    return str(caught.value)


def gripper(of):
    """A change of the gripper's numbers alone: of its opening and its command."""

    def change(felt, told):
        opening, command = of(felt[:, 3], told[:, 3])
        return np.column_stack([felt[:, :3], opening]), np.column_stack([told[:, :3], command])

    return change


def translated(of):
    return lambda felt, told: (felt, np.column_stack([of(felt[:, :3], told[:, :3]), told[:, 3]]))


def pulsed(command, keep=0.0, ends=(-1.0, 1.0)):
    """The same commands as pulses of four steps, nothing between them."""
    closing = command > 0
    pulses = np.full(len(command), keep)
    for step in np.flatnonzero(closing[1:] != closing[:-1]) + 1:
        pulses[step : step + 4] = ends[int(closing[step])]
    return pulses


def test_data_that_are_as_stated_pass_and_evidence_travels_as_json():
    evidence = evidence_of()
    assert evidence.motion.agreement > 0.95 and evidence.motion.unit == pytest.approx(0.01, rel=0.1)
    assert evidence.gripper.opposed == 0 and evidence.gripper.followed == 8
    DataCheck().judge(evidence, ARM, 0.01)
    again = Evidence.from_json(json.loads(json.dumps(evidence.to_json())))
    assert again.to_json() == evidence.to_json()


def test_too_little_evidence_is_no_objection():
    body = replace(ARM, gripper_action_open=1.0, gripper_action_closed=-1.0)
    DataCheck().judge(evidence_of(body, count=1), body, 0.01)
    DataCheck().judge(Evidence.none(), ARM, 0.01)


@pytest.mark.parametrize(
    ("stated", "change"),
    [
        ({"gripper_action_open": 1.0, "gripper_action_closed": -1.0}, gripper(lambda o, c: (o, c))),
        ({}, gripper(lambda o, c: (1 - o, c))),
        ({}, gripper(lambda o, c: (o, -c))),
    ],
    ids=["ends swapped", "closure for opening", "command inverted"],
)
def test_a_gripper_that_does_the_opposite_is_refused_with_what_to_swap(stated, change):
    sentence = refusal(replace(ARM, **stated), change)
    assert "by 4 demonstrations: opening does the opposite of what effort tells it in 8 of 8 cases" in sentence
    assert "swap gripper_action_open and gripper_action_closed, or gripper_open and gripper_closed" in sentence


def test_readings_in_another_unit_than_the_stroke_are_refused():
    metres = gripper(lambda o, c: (0.08 * (2 * o - 1), c))
    assert "never exceeds 8% of its stroke" in refusal(change=metres)
    assert "lies far outside gripper_open 0.08 and gripper_closed 0 in" in refusal(
        replace(ARM, gripper_open=0.08), gripper(lambda o, c: (100 * o, c))
    )


def test_relative_commands_are_found_and_pass_where_they_are_stated():
    relative = gripper(lambda o, c: (o, pulsed(c)))
    sentence = refusal(change=relative)
    assert "effort leaves the gripper closed in 4 of 4 cases in which a command to close ends, by 0" in sentence
    assert "gripper_action_keep" in sentence
    stated = replace(ARM, gripper_action_keep=0.0)
    DataCheck().judge(evidence_of(stated, relative), stated, 0.01)
    numbered = gripper(lambda o, c: (o, pulsed(c, ends=(2.0, 1.0))))
    assert "lies far outside gripper_action_open 2 and gripper_action_closed 1" in refusal(
        replace(ARM, **ENDS), numbered
    )
    stated = replace(ARM, **ENDS, gripper_action_keep=0.0)
    DataCheck().judge(evidence_of(stated, numbered), stated, 0.01)


@pytest.mark.parametrize("form", ["increment", None])
def test_absolute_targets_under_a_card_that_does_not_say_so_are_refused(form):
    targets = translated(lambda position, _: np.append(position[1:], position[-1:], axis=0))
    sentence = refusal(replace(ARM, action_form=form), targets)
    assert "dx, dy, dz are not increments but absolute targets" in sentence and "deltas" in sentence
    body = replace(ARM, action_form="absolute")
    DataCheck().judge(evidence_of(body, targets), body, None)


def test_commands_along_other_axes_or_against_the_motion_are_named():
    assert "(x_m dx, y_m -dy, z_m dz)" in refusal(change=translated(lambda _, way: way * [1, -1, 1]))
    assert "(x_m dy, y_m dx, z_m dz)" in refusal(change=translated(lambda _, way: way[:, [1, 0, 2]]))
    random = np.random.default_rng(0)
    noise = translated(lambda _, way: random.normal(size=way.shape))
    assert "the hand does not go where dx, dy, dz send it, with an agreement of" in refusal(change=noise)


def test_the_unit_of_the_commands_is_measured():
    sentence = refusal(change=translated(lambda _, way: 0.01 * way))
    assert "a unit of dx, dy, dz moves the hand by 1 m" in sentence and sentence.count("command_m") == 2
    evidence = evidence_of(change=translated(lambda _, way: 0.01 * way))
    DataCheck().judge(evidence, ARM, 1.0)
    DataCheck().judge(evidence, ARM, None)
    millimetres = refusal(change=lambda felt, told: (felt * [1000, 1000, 1000, 1], told))
    assert "m/s on average, so that x_m, y_m, z_m are not metres" in millimetres


def test_scripted_experts_pass_by_a_wide_margin():
    reader = MetaworldExperts(tasks=["soccer", "pick-place", "box-close"], episodes=1, action_noise=0.1)
    evidence = sum((Evidence.of(reader.read(key, False, Counter())) for key in reader.keys()), Evidence.none())
    assert evidence.motion.windows >= 10 and evidence.motion.agreement > 0.7 and evidence.gripper.opposed == 0
    DataCheck(least_agreement=0.6, greatest_factor=3.0, greatest_opposed=0.1).judge(evidence, reader.embodiment, 0.01)


def test_a_build_stops_at_the_first_demonstrations_and_the_check_can_be_left_out(moving_card, monkeypatch):
    moving_arm = importlib.import_module("moving_arm")
    monkeypatch.setattr(moving_arm, "ARM", replace(moving_arm.ARM, translation=(1, 0, 2)))
    words = [str(moving_card), "reader.init_args.episodes=6"]
    with pytest.raises(ValueError, match="by 4 demonstrations: the way of the hand"):
        build(read_card(words))
    assert not list(moving_card.with_suffix("").rglob("*.tar"))
    assert set(build(read_card([*words, "data_check=null"]))) == {"la", "vla"}


def test_a_set_of_small_groups_is_judged_as_a_whole(moving_card, monkeypatch):
    moving_arm = importlib.import_module("moving_arm")
    monkeypatch.setattr(moving_arm, "ARM", replace(moving_arm.ARM, translation=(1, 0, 2)))
    words = [str(moving_card), "reader.init_args.episodes=6", "episodes_per_shard=1"]
    with pytest.raises(ValueError, match="by 6 demonstrations: the way of the hand"):
        build(read_card(words))


@pytest.mark.parametrize("settings", [{"least_agreement": 1.2}, {"greatest_factor": 0.5}, {"least_commands": 0}])
def test_bounds_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}.*, got"):
        DataCheck(**settings)


def test_a_gripper_that_stays_closed_now_and_then_is_no_relative_one():
    often, seldom = evidence_of(ARM, gripper(lambda o, c: (o, pulsed(c))), 4), evidence_of(count=40)
    assert often.gripper.kept >= 3
    with pytest.raises(ValueError, match="gripper_action_keep"):
        DataCheck().judge(often, ARM, 0.01)
    quiet = Evidence(often.episodes + 20, seldom.motion, often.gripper)
    DataCheck().judge(quiet, ARM, 0.01)
