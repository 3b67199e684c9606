"""Random numbers that are pure functions of counters: the same on every machine, process and numpy version."""

from __future__ import annotations

import hashlib

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(*counters: int | str | np.ndarray) -> np.ndarray:
    """64 random bits (uint64) for each combination of ``counters``, which broadcast against each other.

    SplitMix64's finalizer (Steele, Lea and Flood, 2014) chained over the counters; strings enter by their sha256.
    """
    state = np.zeros(1, dtype=np.uint64)
    for counter in counters:
        state = _finalize(state + GOLDEN ^ _finalize(_as_uint64(counter) + GOLDEN))
    return state


def uniform(*counters: int | str | np.ndarray) -> np.ndarray:
    """One float64 in [0, 1) for each combination of ``counters``."""
    bits: np.ndarray = mix(*counters) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def _as_uint64(counter: int | str | np.ndarray) -> np.ndarray:
    if isinstance(counter, str):
        counter = int.from_bytes(hashlib.sha256(counter.encode()).digest()[:8], "little")
    if isinstance(counter, int):
        return np.array([counter % 2**64], dtype=np.uint64)
    return counter.astype(np.uint64)


def _finalize(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
