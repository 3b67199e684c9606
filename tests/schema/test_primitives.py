"""The vocabulary is the paper's: every primitive has a row, and its status follows from its context."""

from __future__ import annotations

from la4vla.schema.primitives import DEFINITIONS, Context, Motion, Primitive, Status

TABLE_2 = {
    (Context.OBJECT, Motion.GRIPPER): {"grasp", "place"},
    (Context.OBJECT, Motion.TRANSLATION): {"lift", "lower", "transport"},
    (Context.OBJECT, Motion.ROTATION): {"wrist_rotate", "reorient"},
    (Context.CONTACT, Motion.TRANSLATION): {"push", "pull", "press"},
    (Context.FREE, Motion.TRANSLATION): {"move"},
    (Context.FREE, Motion.ROTATION): {"rotate_free", "reorient_free"},
    (Context.NONE, Motion.NONE): {"wait"},
}


def test_every_primitive_stands_in_its_cell():
    cells = {}
    for primitive in Primitive:
        row = DEFINITIONS[primitive]
        cells.setdefault((row.context, row.motion), set()).add(str(primitive))
    assert cells == TABLE_2


def test_status_follows_from_the_context():
    for row in DEFINITIONS.values():
        if row.context is Context.OBJECT and row.motion is not Motion.GRIPPER:
            assert row.status is Status.HOLDING
        elif row.context is Context.FREE:
            assert row.status is Status.EMPTY
        else:
            assert row.status is None
