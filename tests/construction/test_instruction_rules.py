"""Instructions that say type, direction and status pass; those that see do not."""

from __future__ import annotations

import pytest

from la4vla.construction.instruction_rules import check_instruction, rewrite_instruction, stated_directions
from la4vla.construction.instructions import TEMPLATES
from la4vla.schema.primitives import DEFINITIONS, Motion, Primitive, Status

# Examples of the paper and of the published data set.
PUBLISHED = [
    ("lift the object upward while holding it", "lift"),
    ("transport the object left while keeping it upright", "transport"),
    ("align with and grasp the object", "grasp"),
    ("Move downward and forward to approach the object while holding nothing", "move"),
    ("lower the object downward toward the target", "lower"),
    ("transport the object horizontally to the left", "transport"),
]
BAD = [
    ("lift the red object upward", "lift", {"colour"}),
    ("lift the wooden object upward", "lift", {"material"}),
    ("move forward to the table while holding nothing", "move", {"scene"}),
    ("lift the cup upward while holding it", "lift", {"identity"}),
    ("lift the zyzzyva upward while holding it", "lift", {"identity"}),
    ("lift the object up and down", "lift", {"direction"}),
    ("lift the object to the left", "lift", {"direction"}),
    ("transport the object upward", "transport", {"direction"}),
    ("transport the object to the target", "transport", {"direction"}),
    ("push the object", "push", {"direction"}),
    ("rotate the held object", "wrist_rotate", {"direction"}),
    ("adjust the position to the left while holding nothing", "move", {"type"}),
    ("move forward", "move", {"status"}),
    ("move forward while holding the object", "move", {"status"}),
    ("transport nothing to the left", "transport", {"status"}),
    ("hold still", "wait", {"status"}),
    ("do it", "move", {"identity", "type", "direction", "status"}),
    ("", "grasp", {"type"}),
]


@pytest.mark.parametrize(("instruction", "primitive"), PUBLISHED)
def test_published_instructions_pass(instruction, primitive):
    assert check_instruction(instruction, Primitive(primitive)) == []


@pytest.mark.parametrize("primitive", Primitive)
def test_our_own_wordings_pass(primitive):
    where = {Primitive.LIFT: "upward", Primitive.LOWER: "downward and left"}.get(primitive, "left and forward")
    for template in TEMPLATES[primitive]:
        instruction = template.format(where=where, status="while holding nothing")
        directions = where.split(" and ") if DEFINITIONS[primitive].motion is Motion.TRANSLATION else ()
        assert check_instruction(instruction, primitive, directions) == []


@pytest.mark.parametrize(("instruction", "primitive", "rules"), BAD)
def test_each_rule_finds_its_breach(instruction, primitive, rules):
    assert {violation.rule for violation in check_instruction(instruction, Primitive(primitive))} == rules


def test_known_directions_and_status_must_be_those_stated():
    words = "move forward while holding nothing"
    assert check_instruction(words, Primitive.MOVE, ("forward",), Status.EMPTY) == []
    (wrong,) = check_instruction(words, Primitive.MOVE, ("forward", "left"))
    assert wrong.rule == "direction" and "goes forward, left" in wrong.detail
    (wrong,) = check_instruction(words, Primitive.MOVE, ("forward",), Status.HOLDING)
    assert wrong == ("status", "a move is EMPTY, the segment is marked HOLDING")
    (wrong,) = check_instruction("wait while holding the object", Primitive.WAIT, (), Status.EMPTY)
    assert wrong == ("status", "it says HOLDING, the segment is EMPTY")


def test_details_name_the_word():
    (violation,) = check_instruction("Lift the GREEN object upward", Primitive.LIFT)
    assert violation.detail == "'green' names a colour"


@pytest.mark.parametrize(
    ("instruction", "primitive", "directions"),
    [
        ("go up and to the left", "move", ("upward", "left")),
        ("raise it", "lift", ("upward",)),
        ("lowering the object", "lower", ("downward",)),
        ("press the object", "press", ("downward",)),
        ("press forward on the object", "press", ("forward",)),
        ("turn the held object clockwise", "wrist_rotate", ()),
        ("keep it upright", "wait", ()),
    ],
)
def test_directions_are_read_off_the_words(instruction, primitive, directions):
    assert stated_directions(instruction, Primitive(primitive)) == directions


@pytest.mark.parametrize("primitive", Primitive)
def test_what_is_rewritten_keeps_the_rules(primitive):
    bad = "twist the red cup clockwise on the table while holding nothing"
    where = {Primitive.LIFT: ("upward",), Primitive.LOWER: ("downward",)}.get(primitive, ("left",))
    directed = DEFINITIONS[primitive].motion is Motion.TRANSLATION
    for variant in map(str, range(12)):
        words = rewrite_instruction(bad, primitive, where if directed else (), None, variant)
        assert check_instruction(words, primitive, where if directed else ()) == []
        assert "cup" not in words
        if DEFINITIONS[primitive].motion is Motion.ROTATION:
            assert "clockwise" in words


def test_what_does_not_say_enough_cannot_be_rewritten():
    with pytest.raises(ValueError, match="must state a direction"):
        rewrite_instruction("push the cup", Primitive.PUSH, (), None, "a")
    with pytest.raises(ValueError, match="whether something is held"):
        rewrite_instruction("wait", Primitive.WAIT, (), None, "a")
    assert rewrite_instruction("raise the cup", Primitive.LIFT, (), None, "a").count("upward") == 1


@pytest.mark.parametrize(
    ("primitive", "directions", "status", "detail"),
    [
        ("lift", ("forward",), None, "a lift goes upward, not forward"),
        ("move", ("left", "right"), None, "it states opposite directions: left, right"),
        ("transport", ("upward",), None, "a transport goes horizontally, not upward alone"),
        ("move", ("left",), Status.HOLDING, "a move is EMPTY, the segment is marked HOLDING"),
    ],
)
def test_what_contradicts_itself_cannot_be_rewritten(primitive, directions, status, detail):
    with pytest.raises(ValueError, match=f"does not: {detail}"):
        rewrite_instruction("do it", Primitive(primitive), directions, status, "a")
