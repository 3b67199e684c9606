"""Segments of a scripted episode are known; those of real demonstrations agree with their words."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.consistency import Consistency
from la4vla.construction.instruction_rules import check_instruction
from la4vla.construction.magnitudes import Magnitudes
from la4vla.construction.segmenters.kinematic import KinematicSegmenter
from la4vla.schema.primitives import DEFINITIONS, Motion, Primitive

MOTIONS = {p for p in Primitive if DEFINITIONS[p].motion is Motion.TRANSLATION}


def outline(episode, **settings):
    return [(s.start, s.stop, str(s.primitive), s.directions) for s in KinematicSegmenter(**settings).segment(episode)]


def test_a_pick_is_cut_into_its_stages(pick):
    near = pytest.approx
    assert outline(pick) == [
        (0, near(20, abs=2), "move", ("forward",)),
        (near(20, abs=2), near(35, abs=2), "move", ("downward",)),
        (35, near(46, abs=2), "grasp", ()),
        (near(47, abs=2), near(62, abs=2), "lift", ("upward",)),
        (near(62, abs=2), near(82, abs=4), "transport", ("left",)),
        (near(84, abs=3), 97, "wait", ()),
        (97, near(108, abs=2), "place", ()),
        (near(109, abs=3), 124, "move", ("upward",)),
    ]


def test_a_gripper_closed_from_the_first_step_on_is_a_fist(pick):
    actions, numbers = pick.actions[:35].copy(), pick.proprioception[:35].copy()
    actions[:, 3] = 1.0
    numbers[:, 3] = 0.0
    fist = replace(pick, actions=actions, proprioception=numbers)
    assert [row[2] for row in outline(fist)] == ["move", "move"]
    numbers[:, 3] = 0.4  # fingers kept apart by what they hold
    assert [row[2] for row in outline(replace(fist, proprioception=numbers))] == ["transport", "lower"]


def test_small_motions_are_left_out_and_neighbours_of_one_direction_are_one(pick):
    assert all(row[2] != "move" for row in outline(pick, min_displacement_m=0.5))
    actions = pick.actions.copy()
    actions[8:12, 0] = 0.0  # slower for a moment, in the same direction
    assert outline(replace(pick, actions=actions))[0] == (0, pytest.approx(20, abs=2), "move", ("forward",))


def test_waits_are_few(pick):
    rested = replace(
        pick, actions=np.concatenate([pick.actions] * 2), proprioception=np.concatenate([pick.proprioception] * 2)
    )
    assert [row[2] for row in outline(rested, max_waits=1)].count("wait") == 1
    assert [row[2] for row in outline(rested, max_waits=5)].count("wait") == 2


def test_real_segments_ascend_and_cover_their_demonstrations(demonstrations):
    for episode in demonstrations:
        segments = KinematicSegmenter().segment(episode)
        assert all(a.stop <= b.start for a, b in itertools.pairwise(segments))
        assert 0 <= segments[0].start and segments[-1].stop <= len(episode)
        assert min(map(len, segments)) >= 6
        assert sum(map(len, segments)) > 0.8 * len(episode), episode.key


def test_real_motions_state_their_true_direction_and_begin_in_it(demonstrations):
    total = moved_so = commanded_so = 0
    for episode in demonstrations:
        body = episode.embodiment
        for segment in KinematicSegmenter().segment(episode):
            if segment.primitive not in MOTIONS:
                assert not segment.directions
                continue
            assert segment.directions and " and ".join(segment.directions) in segment.instruction
            first = body.direction(segment.directions[0])
            position = episode.proprioception[:, :3]
            moved = position[min(segment.stop, len(episode) - 1)] - position[segment.start]
            lead = episode.actions[segment.start : min(segment.start + 16, segment.stop), :3].sum(axis=0)
            total += 1
            moved_so += moved @ first > 0
            commanded_so += lead @ first > 0
    assert total > 40
    assert moved_so >= 0.95 * total
    assert commanded_so >= 0.97 * total


def test_grasps_are_found_where_tasks_grasp_and_only_there(demonstrations):
    for episode in demonstrations:
        grasps = [s for s in KinematicSegmenter().segment(episode) if s.primitive is Primitive.GRASP]
        grasping = episode.task in {"push", "pick-place", "sweep", "hammer"}
        assert bool(grasps) == grasping, episode.key


def test_what_the_check_keeps_agrees_wholly(demonstrations):
    check = Consistency()
    for episode in demonstrations:
        for segment in KinematicSegmenter().segment(episode):
            if check.objection(episode, segment):
                continue
            lead = episode.actions[segment.start : min(segment.start + 16, segment.stop), :3].sum(axis=0)
            assert all(lead @ episode.embodiment.direction(word) > 0 for word in segment.directions)


def test_the_check_names_what_disagrees(pick):
    segment = KinematicSegmenter().segment(pick)[0]
    assert Consistency().objection(pick, segment) is None
    assert Consistency().objection(pick, replace(segment, directions=("left",))) == "motion disagrees"
    pushed = replace(pick, actions=-pick.actions)
    assert Consistency().objection(pushed, segment) == "commands disagree"


def test_commands_that_are_openings_and_none_at_all_cut_alike(pick):
    cut = KinematicSegmenter().segment(pick)
    body = replace(pick.embodiment, gripper_action_open=1.0, gripper_action_closed=0.0)
    openings = pick.actions.copy()
    openings[:, 3] = (1 - openings[:, 3]) / 2
    assert KinematicSegmenter().segment(replace(pick, embodiment=body, actions=openings)) == cut
    silent = replace(body, gripper_action=None, gripper_action_open=None, gripper_action_closed=None)
    unknown = replace(pick, embodiment=replace(silent, gripper_closed=0.4))
    assert [s.primitive for s in KinematicSegmenter().segment(unknown)] == [s.primitive for s in cut]


STAGES = [("downward", 30, 1.0), ("forward", 40, 1.0), ("left", 40, 0.8), ("backward", 40, 0.8), ("upward", 30, 1.0)]


@pytest.mark.parametrize(
    ("begins", "primitive", "way"),
    [(50, "push", "forward"), (90, "push", "left"), (130, "pull", "backward"), (160, "pull", "upward")],
)
def test_a_motion_that_is_held_back_is_an_interaction_from_there_on(lagging, tiny_arm, begins, primitive, way):
    episode = lagging(tiny_arm, STAGES, [(begins, begins + 16, 0.5)])
    told = {row[2]: row for row in outline(episode)}
    start, _, _, directions = told.pop(primitive)
    assert start == pytest.approx(begins, abs=6) and directions == (way,)
    assert set(told) == {"move"}
    assert {row[2] for row in outline(lagging(tiny_arm, STAGES))} == {"move"}
    assert {row[2] for row in outline(episode, contacts=None)} == {"move"}


def test_a_hand_that_is_stopped_on_its_way_down_presses(lagging, tiny_arm):
    stages = [("forward", 60, 1.0), ("downward", 40, 1.0)]
    last = KinematicSegmenter().segment(lagging(tiny_arm, stages, [(80, 100, 0.02)]))[-1]
    assert last.primitive is Primitive.PRESS and last.directions == ("downward",)
    assert "press" in last.instruction and "downward" in last.instruction


def test_a_hand_that_comes_down_to_what_it_slides_along_does_not_press(lagging, tiny_arm):
    stages = [("backward", 60, 1.0), ("downward", 40, 1.0), ("left", 40, 1.0)]
    assert "press" not in {row[2] for row in outline(lagging(tiny_arm, stages, [(85, 100, 0.4)]))}
    stages = [("backward", 60, 1.0), ("downward", 40, 1.0), ("upward", 40, 1.0)]
    assert "press" in {row[2] for row in outline(lagging(tiny_arm, stages, [(85, 100, 0.4)]))}


def test_a_hand_held_back_before_it_grasps_is_aligning(lagging, tiny_arm):
    episode = lagging(tiny_arm, [*STAGES, ("downward", 40, 1.0)], [(190, 220, 0.4)])
    assert any(row[2] == "press" for row in outline(episode))
    actions, numbers = episode.actions.copy(), episode.proprioception.copy()
    actions[-20:], numbers[-20:, 3] = [0, 0, 0, 1], np.linspace(1.0, 0.5, 20)
    grasping = replace(episode, actions=actions, proprioception=numbers)
    assert [row[2] for row in outline(grasping)][-2:] == ["move", "grasp"]


@pytest.mark.parametrize(
    ("rotvec", "opening", "primitive", "word"),
    [
        ([0, 0, 1.0], 1.0, Primitive.ROTATE_FREE, "clockwise"),
        ([0, 0, -1.0], 0.5, Primitive.WRIST_ROTATE, "counterclockwise"),
        ([0, np.pi / 2, 0], 1.0, Primitive.REORIENT_FREE, "horizontal"),
        ([0, np.pi / 2, 0], 0.5, Primitive.REORIENT, "horizontal"),
    ],
)
def test_turns_are_told_by_axis_and_status(turning, tiny_arm, rotvec, opening, primitive, word):
    episode = turning(tiny_arm, rotvec, grip=1.0 if opening < 1.0 else -1.0)
    numbers = episode.proprioception.copy()
    numbers[:, 6] = opening
    episode = replace(episode, proprioception=numbers)
    (turn,) = [s for s in KinematicSegmenter().segment(episode) if s.primitive is not Primitive.WAIT]
    assert turn.primitive is primitive and turn.directions == () and word in turn.instruction
    assert check_instruction(turn.instruction, primitive) == []
    assert all(s.primitive is Primitive.WAIT for s in KinematicSegmenter(rotations=None).segment(episode))


def test_how_far_is_said_of_short_and_long_motions_only(pick):
    def told(**thresholds):
        segments = KinematicSegmenter(magnitudes=Magnitudes(**thresholds)).segment(pick)
        return [s.instruction for s in segments if s.directions]

    short = ("slightly", "a little", "a short distance")
    long = ("far", "a long way", "a long distance")
    assert all(any(w in words for w in short) for words in told(slight_m=9.0, far_m=9.0))
    assert all(any(w in words for w in long) for words in told(slight_m=0.0, far_m=0.0))
    assert not any(w in words for words in told(slight_m=0.0, far_m=9.0) for w in short + long)
    for segment in KinematicSegmenter(magnitudes=Magnitudes(9.0, 9.0)).segment(pick):
        assert check_instruction(segment.instruction, segment.primitive, segment.directions) == []


def test_slight_bends_are_none_where_asked(lagging, tiny_arm):
    episode = lagging(tiny_arm, [("forward", 20, 1.0), ("left", 20, 1.0), ("forward", 20, 1.0)])
    assert len(outline(episode)) == 3
    assert len(outline(episode, min_bend_deg=80.0)) == 3
    assert len(outline(episode, min_bend_deg=100.0)) == 1


def diagonal(lagging, arm, bend_deg):
    """Forward, then ``bend_deg`` to the left of that."""
    straight = lagging(arm, [("forward", 60, 1.0)])
    actions, numbers = straight.actions.copy(), straight.proprioception.copy()
    angle = np.radians(bend_deg)
    aside = np.cos(angle) * arm.direction("forward") + np.sin(angle) * arm.direction("left")
    actions[30:, :3] = aside
    numbers[1:, :3] = 0.01 * np.cumsum(actions[:-1, :3], axis=0)
    return replace(straight, actions=actions, proprioception=numbers)


def test_a_straight_way_clipped_axis_by_axis_is_one_motion(lagging, tiny_arm):
    clipped = diagonal(lagging, tiny_arm, 45.0)  # one axis is slower to arrive than the other
    assert [row[2] for row in outline(clipped)] == ["move"]
    assert len(outline(clipped, min_bend_deg=0.0)) == 2
    cut, following = outline(diagonal(lagging, tiny_arm, 60.0))
    assert cut[1] == following[0] == pytest.approx(30, abs=1)


def test_segments_are_the_same_every_time_and_vary_with_the_key(demonstrations):
    for episode in demonstrations[:4]:
        assert KinematicSegmenter().segment(episode) == KinematicSegmenter().segment(episode)
    wordings = {
        tuple(s.instruction for s in KinematicSegmenter().segment(replace(demonstrations[0], key=f"other-{i}")))
        for i in range(6)
    }
    assert len(wordings) > 1


def pulsed(episode, keep=0.0, ends=(-1.0, 1.0), steps=3):
    """The same gripper commands said once, for three steps, and kept from then on."""
    closing = episode.actions[:, 3] > 0.05
    pulses = np.full(len(closing), keep)
    for step in np.flatnonzero(closing[1:] != closing[:-1]) + 1:
        pulses[step : step + steps] = ends[int(closing[step])]
    actions = np.column_stack([episode.actions[:, :3], pulses]).astype(np.float32)
    facts = {"gripper_action_open": ends[0], "gripper_action_closed": ends[1], "gripper_action_keep": keep}
    return replace(episode, actions=actions, embodiment=replace(episode.embodiment, **facts))


@pytest.mark.parametrize("how", [{}, {"ends": (2.0, 1.0)}, {"ends": (0.0, 2.0), "keep": 1.0}])
def test_relative_gripper_commands_cut_as_those_that_last(pick, how):
    expected = [(s.start, s.stop, s.instruction) for s in KinematicSegmenter().segment(pick)]
    assert [(s.start, s.stop, s.instruction) for s in KinematicSegmenter().segment(pulsed(pick, **how))] == expected
    assert any("holding" in instruction or "held" in instruction for _, _, instruction in expected)


@pytest.mark.parametrize("every", [2, 3, 4])
def test_the_same_motions_recorded_slower_are_the_same_actions(pick, every):
    # 6 s recorded at 20, 13.3 and 10 Hz; commands are summed over a step, as a recorder does
    rows = np.arange(0, 2 * len(pick), every)
    felt = np.column_stack([np.interp(rows / 2, np.arange(len(pick)), column) for column in pick.proprioception.T])
    told = np.column_stack([pick.actions[rows // 2, :3] * every / 2, pick.actions[rows // 2, 3]])
    body = replace(pick.embodiment, control_hz=40.0 / every)
    segments = KinematicSegmenter().segment(replace(pick, embodiment=body, proprioception=felt, actions=told))
    assert [s.primitive for s in segments] == [s.primitive for s in KinematicSegmenter().segment(pick)]
    assert min(map(len, segments)) > 3


JOINTS = {
    "proprioception": ("shoulder_deg", "lift_deg", "elbow_deg", "jaw"),
    "actions": ("shoulder_deg", "lift_deg", "elbow_deg", "jaw"),
    "position": None,
    "translation": None,
}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (JOINTS, r"KinematicSegmenter needs facts that embodiment tiny_arm does not record: state position \(.*transl"),
        ({"forward": None, "left": None, "up": None}, "state forward "),
        ({"gripper_open": None, "gripper_closed": None}, "state gripper_open "),
        ({"gripper_action_open": None, "gripper_action_closed": None}, "state gripper_action_open "),
        (
            {"action_form": "absolute"},
            "needs increments as actions, and those of embodiment tiny_arm are absolute.*delt",
        ),
    ],
)
def test_a_body_that_says_too_little_is_refused_before_anything_is_read(pick, facts, sentence):
    body = replace(pick.embodiment, **facts)
    with pytest.raises(ValueError, match=sentence):
        KinematicSegmenter().check(body)
    KinematicSegmenter().check(pick.embodiment)
    if not any(fact.startswith("gripper") for fact in facts):
        with pytest.raises(ValueError, match="consistency: null"):
            Consistency().check(body)


@pytest.mark.parametrize("settings", [{"command_m": 0.0}, {"min_s": -0.1}, {"lead_s": float("nan")}])
def test_settings_that_are_no_lengths_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be .*, got"):
        KinematicSegmenter(**settings)
