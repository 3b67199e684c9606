"""Instructions state direction and status, vary, and are the same everywhere."""

from __future__ import annotations

import pytest

from la4vla.construction.instructions import TEMPLATES, write_instruction
from la4vla.schema.primitives import Primitive, Status

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


def test_wordings_are_pinned():
    # A change here changes every shard built before.
    written = [write_instruction(Primitive.MOVE, ("forward",), Status.EMPTY, f"push-0001/{i}") for i in range(3)]
    assert written == [
        "move forward while holding nothing",
        "move the gripper forward while holding nothing",
        "go forward without holding anything",
    ]
