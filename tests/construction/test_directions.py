"""Bends are found where a path bends; words agree with displacements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from la4vla.construction.directions import AXES, directions_of, simplify
from la4vla.simulators.metaworld import METAWORLD


def test_bends_are_found():
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, -1.0]])
    path = np.concatenate([np.linspace(a, b, 10, endpoint=False) for a, b in itertools.pairwise(corners)])
    path = np.concatenate([path, corners[-1:]])
    assert simplify(path, 0.05) == [0, 10, 20, 30]
    assert simplify(path, 5.0) == [0, 30]


def test_going_there_and_back_is_a_bend():
    path = np.zeros((21, 3))
    path[:, 0] = [*range(11), *range(9, -1, -1)]
    assert simplify(path, 0.5) == [0, 10, 20]


@pytest.mark.parametrize("word", [w for axis in AXES for w in axis])
def test_every_word_names_its_own_unit_vector(word):
    assert directions_of(METAWORLD.direction(word) * 0.1, METAWORLD, 0.5) == (word,)


def test_the_second_axis_is_named_where_it_is_significant():
    up, left = METAWORLD.direction("upward"), METAWORLD.direction("left")
    assert directions_of(up + 0.6 * left, METAWORLD, 0.5) == ("upward", "left")
    assert directions_of(up + 0.4 * left, METAWORLD, 0.5) == ("upward",)
