"""Instructions state direction and status, vary, and are the same everywhere."""

from __future__ import annotations

import pytest

from la4vla.construction.instruction_rules import check_instruction
from la4vla.construction.instructions import EXTENTS, TEMPLATES, write_instruction
from la4vla.schema.primitives import DEFINITIONS, Motion, Primitive, Status

DIRECTED = [Primitive.LIFT, Primitive.LOWER, Primitive.TRANSPORT, Primitive.MOVE]


@pytest.mark.parametrize("primitive", DIRECTED)
def test_every_wording_of_a_motion_states_its_directions(primitive):
    wordings = {write_instruction(primitive, ("upward", "left"), Status.HOLDING, str(i)) for i in range(200)}
    assert len(wordings) == len(TEMPLATES[primitive]) >= 3
    assert all("upward and left" in wording for wording in wordings)


@pytest.mark.parametrize("primitive", DIRECTED)
def test_a_motion_without_direction_is_refused(primitive):
    with pytest.raises(ValueError, match="must state a direction"):
        write_instruction(primitive, (), Status.EMPTY, "a")


def test_status_is_stated_and_no_wording_serves_both():
    held = {t for p in (Primitive.LIFT, Primitive.LOWER, Primitive.TRANSPORT) for t in TEMPLATES[p]}
    assert not held & set(TEMPLATES[Primitive.MOVE])
    assert write_instruction(Primitive.WAIT, (), Status.HOLDING, "a").endswith("while holding the object")
    assert write_instruction(Primitive.WAIT, (), Status.EMPTY, "a").endswith("while holding nothing")


@pytest.mark.parametrize("magnitude", ["slightly", "far"])
@pytest.mark.parametrize("primitive", [p for p in Primitive if DEFINITIONS[p].motion is Motion.TRANSLATION])
def test_how_far_is_said_in_words_that_keep_the_rules(primitive, magnitude):
    where = {Primitive.LIFT: ("upward",), Primitive.LOWER: ("downward",)}.get(primitive, ("left", "forward"))
    status = DEFINITIONS[primitive].status or Status.EMPTY
    words = {write_instruction(primitive, where, status, str(i), magnitude) for i in range(300)}
    assert len(words) == len(TEMPLATES[primitive]) * len(EXTENTS[magnitude])
    assert not words & {write_instruction(primitive, where, status, str(i)) for i in range(100)}
    assert all(check_instruction(w, primitive, where) == [] for w in words)
    assert all(" and ".join(where) in w for w in words)


def test_wordings_are_pinned():
    # A change here changes every shard built before.
    written = [write_instruction(Primitive.MOVE, ("forward",), Status.EMPTY, f"push-0001/{i}") for i in range(3)]
    assert written == [
        "move forward while holding nothing",
        "move the gripper forward while holding nothing",
        "go forward without holding anything",
    ]
    far = write_instruction(Primitive.MOVE, ("forward",), Status.EMPTY, "push-0001/0", "far")
    assert far == "move forward a long distance while holding nothing"
