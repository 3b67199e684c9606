"""What a segmenter is."""

from __future__ import annotations

from typing import Protocol

from la4vla.schema.episode import Episode, Segment


class Segmenter(Protocol):
    """Cuts an episode into atomic actions."""

    def segment(self, episode: Episode) -> list[Segment]:
        """The segments of ``episode``, ascending and without overlap; steps may be left out."""
        ...
