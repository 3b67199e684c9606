"""A segment carries its instruction; only a translation's words are directions."""

from __future__ import annotations

from la4vla.construction.named import named
from la4vla.schema.primitives import Primitive, Status


def test_words_are_directions_of_translations_only(pick):
    move = named(pick, 3, 20, Primitive.MOVE, ("forward",), Status.EMPTY)
    assert (move.start, move.stop, move.directions) == (3, 20, ("forward",)) and "forward" in move.instruction
    turn = named(pick, 3, 20, Primitive.ROTATE_FREE, ("clockwise",), Status.EMPTY)
    assert turn.directions == () and " clockwise" in turn.instruction
    assert named(pick, 3, 20, Primitive.WAIT, (), Status.EMPTY).directions == ()


def test_wordings_vary_with_the_start(pick):
    wordings = {named(pick, s, 20, Primitive.MOVE, ("left",), Status.EMPTY).instruction for s in range(12)}
    assert len(wordings) > 1
