"""Sentences that say two things differ name the fields, with both values."""

from __future__ import annotations

from dataclasses import replace

from la4vla.schema.differences import differences
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import Shot, ViewProfile

VIEW = ViewProfile("front", (Shot("front", 240), Shot("wrist", 96)), 96)


def test_a_nested_field_is_named_by_its_path() -> None:
    turned = replace(VIEW, shots=(VIEW.shots[0], replace(VIEW.shots[1], rotate_deg=180)))
    assert differences(VIEW, turned) == "shots.1.rotate_deg: 0 there, 180 here"
    assert differences(VIEW, replace(VIEW, size_px=64)) == "size_px: 96 there, 64 here"


def test_what_is_there_once_is_nothing_elsewhere() -> None:
    one = Embodiment("arm", ("x",), ("dx",), ("front",), 10.0)
    assert differences(one, replace(one, actions=("yaw",))) == "actions: ['dx'] there, ['yaw'] here"
    stated = replace(one, forward=(1.0, 0.0, 0.0), left=(0.0, 1.0, 0.0), up=(0.0, 0.0, 1.0))
    assert differences(one, stated).startswith("forward: nothing there, [1.0, 0.0, 0.0] here; left: nothing there")


def test_equal_things_do_not_differ_and_long_lists_are_counted() -> None:
    assert differences(VIEW, VIEW) == ""
    other = ViewProfile("side", (Shot("side", 10, 90, 0.5),), 10, shadows=False)
    assert differences(VIEW, other, most=1).startswith("name: front there, side here; and ")
