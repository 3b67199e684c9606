"""Random numbers that are pure functions of counters: the same on every machine, process and numpy version."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
ONES = 2**64 - 1


def mix(*counters: int | str | np.ndarray) -> np.ndarray:
    """64 random bits (uint64) for each combination of ``counters``, which broadcast against each other.

    SplitMix64's finalizer (Steele, Lea and Flood, 2014) chained over the counters; strings enter by their sha256.
    """
    # single numbers are folded as Python integers, several times faster than as arrays of one element
    single: int = 0
    state: np.ndarray | None = None
    for counter in counters:
        if isinstance(counter, np.ndarray):
            state = np.array([single], dtype=np.uint64) if state is None else state
            state = _finalize((state + GOLDEN) ^ _finalize(counter.astype(np.uint64) + GOLDEN))
        elif state is None:
            single = _finalize_one((single + int(GOLDEN)) ^ _folded(counter))
        else:
            state = _finalize((state + GOLDEN) ^ np.uint64(_folded(counter)))
    return np.array([single], dtype=np.uint64) if state is None else state


def uniform(*counters: int | str | np.ndarray) -> np.ndarray:
    """One float64 in [0, 1) for each combination of ``counters``."""
    bits: np.ndarray = mix(*counters) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


@lru_cache(maxsize=1024)
def _folded(counter: int | str) -> int:
    if isinstance(counter, str):
        counter = int.from_bytes(hashlib.sha256(counter.encode()).digest()[:8], "little")
    return _finalize_one(counter + int(GOLDEN))


def _finalize_one(bits: int) -> int:
    bits &= ONES
    bits = ((bits ^ (bits >> 30)) * int(FIRST)) & ONES
    bits = ((bits ^ (bits >> 27)) * int(SECOND)) & ONES
    return bits ^ (bits >> 31)


def _finalize(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
