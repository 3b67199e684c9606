"""What building a card's segments would cost, before anything is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from la4vla.construction.card import Card
from la4vla.construction.data_check import Evidence
from la4vla.data.readers.base import Key
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.episode import Episode

SAMPLE = 16


def outlook(card: Card) -> list[str]:
    """Lines on the cost of segmenting all demonstrations that exports of segments hold.

    It reads ``SAMPLE`` of them, evenly spread, and asks nobody.

    Raises:
        ValueError: If they contradict their embodiment.
    """
    keys = _keys(card)
    if card.segmenter is None or not keys:
        return ["The card has no demonstrations to segment."]
    spread = np.unique(np.linspace(0, len(keys) - 1, SAMPLE).round().astype(int)).tolist()
    return card.segmenter.outlook(_read(card, [keys[i] for i in spread]), len(keys))


def _keys(card: Card) -> list[Key]:
    wanted = {
        key
        for export in card.exports.values()
        if export.unit == "segment"
        for key in card.reader.keys(export.tasks, export.episodes)
    }
    return [key for key in card.reader.keys() if key in wanted]


def _read(card: Card, keys: list[Key]) -> Iterator[Episode]:
    frames = card.segmenter is not None and card.segmenter.needs_frames
    evidence = Evidence.none()
    for key in keys:
        try:
            episode = card.reader.read(key, frames, Counter())
        except UnusableEpisode:
            continue  # it will cost nothing
        evidence += Evidence.of(episode)
        yield episode
    card.examine(evidence)
