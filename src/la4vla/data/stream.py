"""The sample stream of a mixture: which samples make up batch ``n``, as a pure function of ``n``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from la4vla.data.draws import mix, uniform

# raise it whenever the same settings give other batches: a run then cannot be resumed across the change
STREAM_VERSION = 1


class Plan(NamedTuple):
    """The samples of one batch, before anything is read.

    Args:
        source: ``(B,)`` int64: index of the source.
        window: ``(B,)`` int64: index of the window inside the source.
        draw: ``(B,)`` int64: the sample's own random seed, not negative.
    """

    source: np.ndarray
    window: np.ndarray
    draw: np.ndarray

    def share(self, rank: int, ranks: int) -> Plan:
        """The rows of process ``rank`` out of ``ranks``; their number must divide evenly."""
        rows = len(self.source) // ranks
        return Plan(*(array[rank * rows : (rank + 1) * rows] for array in self))


class SampleStream:
    """An endless stream of batches, each a function of (seed, sources, batch size) and its own number alone.

    Batch ``n`` holds ``floor(B W_s + u_n) - floor(B W_{s-1} + u_n)`` samples of source ``s``, with ``W`` the cumulative
    normalised weights and ``u_n`` uniform: systematic sampling, so the expectation is ``B w_s`` exactly and no count is
    ever more than one off it. Each source hands out its windows in a fresh permutation per epoch of its own, and the
    sources are spread evenly over a batch, so that the shares of several processes are alike.

    Args:
        names: One name per source; its permutations depend on the name, not on its place.
        weights: One positive weight per source; normalised.
        sizes: Windows per source.
        batch_size: Samples per batch.
        seed: Seed of everything.
    """

    def __init__(
        self, names: Sequence[str], weights: Sequence[float], sizes: Sequence[int], batch_size: int, seed: int
    ) -> None:
        self.batch_size = batch_size
        self._names, self._sizes, self._seed = list(names), list(sizes), seed
        total = sum(weights)
        self._edges = np.concatenate([[0.0], np.cumsum([w / total for w in weights])])
        self._edges[-1] = 1.0
        self._before = 0, np.zeros(len(names), dtype=np.int64)
        self._permutations: dict[int, tuple[int, np.ndarray]] = {}

    def plan(self, n: int) -> Plan:
        """The samples of batch ``n``."""
        consumed = self.consumed(n)
        counts = self._counts(np.array([n]))[0]
        self._before = n + 1, consumed + counts
        source = np.repeat(np.arange(len(counts)), counts)
        window = np.concatenate([self._windows(s, consumed[s], c) for s, c in enumerate(counts)])
        order = self._spread(n, counts)
        draw = mix(self._seed, "draw", n * self.batch_size + np.arange(self.batch_size)) >> np.uint64(1)
        return Plan(source[order], window[order], draw.astype(np.int64))

    def consumed(self, n: int) -> np.ndarray:
        """``(sources,)`` int64: samples of each source in batches 0 to ``n - 1``."""
        done, counts = self._before
        if n < done:
            done, counts = 0, np.zeros(len(self._names), dtype=np.int64)
        while done < n:
            step = min(n - done, 1 << 20)
            counts = counts + self._counts(np.arange(done, done + step)).sum(axis=0)
            done += step
        return counts

    def _counts(self, batches: np.ndarray) -> np.ndarray:
        """``(batches, sources)`` samples of each source."""
        offset = uniform(self._seed, "counts", batches)[:, None]
        return np.diff(np.floor(self._edges * self.batch_size + offset).astype(np.int64), axis=1)

    def _windows(self, source: int, start: int, count: int) -> np.ndarray:
        """Windows ``start`` to ``start + count`` of the source's endless sequence of permutations."""
        size, parts = self._sizes[source], [np.empty(0, dtype=np.int64)]
        while count:
            epoch, place = divmod(int(start), size)
            parts.append(self._permutation(source, epoch)[place : place + count])
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return np.concatenate(parts)

    def _permutation(self, source: int, epoch: int) -> np.ndarray:
        if self._permutations.get(source, (-1,))[0] != epoch:
            bits = mix(self._seed, self._names[source], epoch, np.arange(self._sizes[source]))
            self._permutations[source] = epoch, np.argsort(bits, kind="stable")
        return self._permutations[source][1]

    def _spread(self, n: int, counts: np.ndarray) -> np.ndarray:
        """An order of the batch that spreads every source evenly over it."""
        phase = uniform(self._seed, "spread", n, np.arange(len(counts)))
        places = [(np.arange(c) + phase[s]) / c for s, c in enumerate(counts) if c]
        return np.argsort(np.concatenate(places), kind="stable")
