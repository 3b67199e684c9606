"""Stretches of motion get primitives by status, direction and contact."""

from __future__ import annotations

from la4vla.construction.magnitudes import Magnitudes
from la4vla.construction.motions import Motions
from la4vla.construction.pieces import Pieces

MOTIONS = Motions(Pieces(0.01, 0.02, 6, 0.02, 0.5, 50.0, 16), None)


def told(segments):
    return [(str(s.primitive), s.directions) for s in segments]


def test_what_is_held_is_lifted_lowered_or_transported(lagging, tiny_arm):
    episode = lagging(tiny_arm, [("upward", 30, 1.0), ("left", 40, 1.0), ("downward", 30, 1.0)])
    ways = [("lift", ("upward",)), ("transport", ("left",)), ("lower", ("downward",))]
    assert told(MOTIONS.holding(episode, 0, 100)) == ways
    assert told(MOTIONS.empty(episode, 0, 100, [], False)) == [("move", directions) for _, directions in ways]


def test_contact_begins_an_interaction_except_before_a_closing(lagging, tiny_arm):
    episode = lagging(tiny_arm, [("forward", 60, 1.0)])
    moved, pushed = MOTIONS.empty(episode, 0, 60, [(30, 50)], False)
    assert told([moved, pushed]) == [("move", ("forward",)), ("push", ("forward",))]
    assert moved.stop == pushed.start == 30
    assert told(MOTIONS.empty(episode, 0, 60, [(30, 50)], True)) == [("move", ("forward",))]
    assert told(MOTIONS.empty(episode, 0, 60, [(2, 50)], False)) == [("push", ("forward",))]


def test_pieces_that_go_nowhere_are_left_out_and_lengths_are_told(lagging, tiny_arm):
    assert MOTIONS.empty(lagging(tiny_arm, [("forward", 60, 0.01)]), 0, 60, [], False) == []
    episode = lagging(tiny_arm, [("forward", 60, 1.0)])
    (far,) = Motions(MOTIONS.pieces, Magnitudes(0.0, 0.0)).empty(episode, 0, 60, [], False)
    assert any(word in far.instruction for word in ("far", "a long way", "a long distance"))
