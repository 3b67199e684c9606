"""Proposals become segments whose directions are commands, and whose instructions keep the rules."""

from __future__ import annotations

import pytest

from la4vla.construction.consistency import Consistency
from la4vla.construction.vlm.proposals import Proposal
from la4vla.construction.vlm.request import Question
from la4vla.construction.vlm.wording import word_segments


def worded(subaction: str, instruction: str, directions=(), status=None):
    proposal = Proposal(
        subaction=subaction, status=status, directions=list(directions), instruction=instruction, start=0.0, end=1.0
    )
    return word_segments([proposal], Question("scripted", 20.0, 20, 1.0, ()), rewrite=True)


@pytest.mark.parametrize(
    ("subaction", "instruction"),
    [
        ("place", "lower the object down and open the gripper"),
        ("wait", "hold still at the right place while holding nothing"),
        ("reorient", "tilt the held object backward"),
    ],
)
def test_words_of_what_is_no_translation_are_no_directions(pick, subaction, instruction):
    (segment,), violations = worded(subaction, instruction)
    assert (segment.instruction, segment.directions, violations) == (instruction, (), [])
    assert Consistency().objection(pick, segment) is None  # the hand goes forward there


def test_a_translation_that_goes_elsewhere_than_it_says_is_objected_to(pick):
    (segment,), _ = worded("move", "move backward while holding nothing", ["backward"])
    assert segment.directions == ("backward",) and Consistency().objection(pick, segment) == "motion disagrees"


def test_a_segment_that_contradicts_itself_is_left_out_and_listed():
    segments, (violation,) = worded("lift", "lift the cup", ["forward"])
    assert segments == [] and violation["kept"] is None and "identity" in violation["rules"]
