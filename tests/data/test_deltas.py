"""Differences of poses: what each kind means, and the short way round."""

from __future__ import annotations

import numpy as np
import pytest

from la4vla.data.deltas import as_deltas, wrapped

COMMANDS = np.array([[1.0, np.pi - 0.1], [2.0, -np.pi + 0.1], [4.0, np.pi - 0.2]], dtype=np.float32)
STATES = np.array([[0.5, -np.pi + 0.1], [1.5, np.pi - 0.3], [3.0, np.pi]], dtype=np.float32)


def test_per_step_differences_are_of_the_same_row():
    made = as_deltas(COMMANDS, STATES, "per_step", [1])
    np.testing.assert_allclose(made, [[0.5, -0.2], [0.5, 0.4], [1.0, -0.2]], atol=1e-6)
    assert made.dtype == np.float32


def test_anchored_differences_sum_to_the_commands():
    made = as_deltas(COMMANDS, STATES, "anchored", [1])
    np.testing.assert_allclose(made, [[0.5, -0.2], [1.0, 0.2], [2.0, -0.3]], atol=1e-6)
    reached = STATES[0] + np.cumsum(made, axis=0)
    np.testing.assert_allclose(wrapped(reached[:, 1] - COMMANDS[:, 1]), 0, atol=1e-6)
    np.testing.assert_allclose(reached[:, 0], COMMANDS[:, 0], atol=1e-6)


def test_none_is_the_command_and_unwrapped_dimensions_keep_whole_turns():
    np.testing.assert_array_equal(as_deltas(COMMANDS, STATES, "none", [1]), COMMANDS)
    assert as_deltas(COMMANDS, STATES, "per_step", [])[0, 1] == pytest.approx(2 * np.pi - 0.2, abs=1e-6)


def test_wrapping_stays_in_half_a_turn_either_way():
    angles = np.linspace(-20, 20, 4001)
    made = wrapped(angles)
    assert made.min() >= -np.pi and made.max() < np.pi
    np.testing.assert_allclose(np.exp(1j * made), np.exp(1j * angles), atol=1e-9)
