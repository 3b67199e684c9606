"""Boundaries of an episode's phases as the simulator knows them; shares nothing with the segmenter, not even a number.

A boundary is a moment at which one of these begins or ends, or happens:

1. **Holding**: each of the two fingers touches the same object.
2. **Closing for a hold**: the fingers begin the closing that ends in a hold within a second. They close where their
   distance shrinks by more than 1 cm/s.
3. **Driving**: the robot touches an object that it does not hold, and that object moves.
4. **Rest**: the hand stays slower than 2 cm/s for at least 0.2 s.
5. **Turn**: the hand's displacements over the 0.15 s before and after a moment stand at more than 45 degrees, both
   faster than 5 cm/s; the moment is that of the widest angle.

Contacts chatter: gaps and blips under 0.1 s are closed, and boundaries within 0.1 s of each other are one. The first
and last 0.1 s of an episode have none, as its ends are boundaries of nothing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import binary_closing, binary_opening
from witness import Truth

CHATTER_S = 0.1
REST_M_S, REST_S = 0.02, 0.2
TURN_S, TURN_COSINE, TURN_M_S = 0.15, np.cos(np.pi / 4), 0.05
DRIVEN_M_S = 0.01
FINGERS_M_S = 0.01


def held(truth: Truth, hz: float) -> np.ndarray:
    """``(T,)`` bool: each finger touches the same object, chatter removed."""
    return steady(truth.touches.all(axis=2).any(axis=1), CHATTER_S * hz)


def driven(truth: Truth, hz: float) -> np.ndarray:
    """``(T, K)`` bool: the robot touches an object that moves, and holds none."""
    moves = truth.robot & (truth.motion * hz > DRIVEN_M_S)
    free = ~held(truth, hz)
    columns = [steady(moves[:, k], CHATTER_S * hz) & free for k in range(moves.shape[1])]
    return np.stack(columns, axis=1) if columns else np.zeros((len(free), 0), dtype=bool)


def boundaries(truth: Truth, hz: float) -> list[int]:
    """Steps at which a phase begins or ends, ascending."""
    grip = held(truth, hz)
    found = edges(grip) + closings(truth, grip, hz)
    found += edges(steady(driven(truth, hz).any(axis=1), CHATTER_S * hz))
    found += rests(truth.hand, hz) + turns(truth.hand, hz)
    return merged(found, len(truth.hand), hz)


def closings(truth: Truth, grip: np.ndarray, hz: float) -> list[int]:
    """Where the fingers begin the closing that ends in a hold."""
    begins = [start for start, _ in spans(steady(_opening_speed(truth, hz) < -FINGERS_M_S, CHATTER_S * hz))]
    holds = [start for start, _ in spans(grip) if start > 0]
    return [max(begun) for hold in holds if (begun := [start for start in begins if hold - hz <= start <= hold])]


def _opening_speed(truth: Truth, hz: float) -> np.ndarray:
    speed: np.ndarray = np.gradient(truth.apart) * hz
    return speed


def rests(hand: np.ndarray, hz: float) -> list[int]:
    """Where the hand comes to rest and where it sets out again."""
    slow = np.linalg.norm(np.gradient(hand, axis=0), axis=1) * hz < REST_M_S
    return edges(binary_opening(slow, np.ones(max(2, round(REST_S * hz)))))


def turns(hand: np.ndarray, hz: float) -> list[int]:
    """Where the hand changes its direction."""
    width = max(2, round(TURN_S * hz))
    if len(hand) <= 2 * width:
        return []
    before, after = hand[width:-width] - hand[: -2 * width], hand[2 * width :] - hand[width:-width]
    lengths = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
    cosine = (before * after).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    cosine[np.minimum(*lengths) < TURN_M_S * width / hz] = 1.0
    found = []
    while cosine.min() < TURN_COSINE:
        sharpest = int(cosine.argmin())
        found.append(sharpest + width)
        cosine[max(0, sharpest - width) : sharpest + width + 1] = 1.0
    return found


def steady(mask: np.ndarray, steps: float) -> np.ndarray:
    """``mask`` without gaps, then without blips, of fewer than ``steps``."""
    window = np.ones(max(2, round(steps)))
    padded = np.pad(mask, len(window), mode="edge")
    smooth: np.ndarray = binary_opening(binary_closing(padded, window), window)[len(window) : -len(window)]
    return smooth


def spans(mask: np.ndarray) -> list[tuple[int, int]]:
    """The half-open intervals in which ``mask`` is true."""
    bounds = [0, *edges(mask), len(mask)]
    return [(start, stop) for start, stop in pairwise(bounds) if start < stop and mask[start]]


def edges(mask: np.ndarray) -> list[int]:
    """Steps at which ``mask`` differs from the step before."""
    return [int(step) + 1 for step in np.flatnonzero(mask[1:] != mask[:-1])]


def merged(steps: list[int], length: int, hz: float) -> list[int]:
    """``steps`` in order, those within 0.1 s of the first of a group as their mean, without those at the ends."""
    groups: list[list[int]] = []
    for step in sorted(steps):
        if groups and step - groups[-1][0] <= CHATTER_S * hz:
            groups[-1].append(step)
        else:
            groups.append([step])
    found = [round(float(np.mean(group))) for group in groups]
    return [step for step in found if CHATTER_S * hz <= step <= length - CHATTER_S * hz]
