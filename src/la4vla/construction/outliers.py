"""Dimensions whose range a few values stretch far beyond all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from la4vla.schema.statistics import Domain, Statistics

# A normal distribution's range over a million values is 2.1 times its span from 1 % to 99 %.
FAR = 5.0


def outlier_sentences(domains: Iterable[Domain], far: float = FAR) -> list[str]:
    """A sentence for each dimension whose range is over ``far`` times its span from the 1 % to the 99 % quantile.

    Args:
        domains: Sets of one body; of each dimension the set in which it is stretched most is told.
        far: Factor from which a range is worth a word.
    """
    worst: dict[str, tuple[float, str]] = {}
    for domain in domains:
        body = domain.embodiment
        found = [
            *_stretched("proprioception", body.proprioception, domain.proprioception, far),
            *_stretched("action", body.actions, domain.actions, far),
        ]
        for key, factor, sentence in found:
            if factor > worst.get(key, (0.0, ""))[0]:
                worst[key] = factor, sentence
    return [sentence for _, sentence in worst.values()]


def _stretched(kind: str, names: Sequence[str], statistics: Statistics, far: float) -> Iterator[tuple[str, float, str]]:
    """Dimension, factor and sentence of each dimension that is stretched."""
    columns = statistics.minimum, statistics.q01, statistics.q99, statistics.maximum
    for name, low, q01, q99, high in zip(names, *columns, strict=True):
        reach, span = float(high - low), float(q99 - q01)
        if reach <= far * span or reach <= 2e-6 * max(abs(float(low + high)) / 2, 1e-2):
            continue
        ends = f"{kind} `{name}` goes from {low:.4g} to {high:.4g}"
        if span <= 1e-6 * reach:
            yield (
                f"{kind} {name}", float("inf"),
                f"{ends}, but is {q01:.4g} in at least 98 % of the steps: if it is no rare event, such as a switch, "
                "look for outliers.",
            )  # fmt: skip
            continue
        factor = reach / span
        yield (
            f"{kind} {name}", factor,
            f"{ends}, {factor:.3g} times as far as from its 1 % to its 99 % quantile ({q01:.4g} to {q99:.4g}): "
            f"`normalization: bounds` leaves 98 % of the values {1 / factor:.1%} of [-1, 1], and `quantiles` clamps "
            "the rest; look for outliers.",
        )  # fmt: skip
