"""LA-33K as published: atomic segments of DROID, each an episode of its own whose task is its LA instruction."""

from __future__ import annotations

from collections.abc import Sequence

from la4vla.data.deltas import Deltas
from la4vla.data.readers.droid import CAMERAS, DroidReader


class LA33KReader(DroidReader):
    """Reads LA-33K: 33,116 episodes of about 46 steps, already segmented and filtered by people.

    A card exports them as episodes, without a segmenter. Numbers and conventions are DROID's, and so is the embodiment,
    so that its shards mix with those of a card of DROID.

    Args:
        root: Folder of the data set, the one that holds ``meta``.
        deltas: As in :class:`DroidReader`.
        cameras: Likewise; with an empty list the videos need not be downloaded.
        size_px: Height and width of the frames.
        frame_every: A frame is kept every so many steps.
    """

    def __init__(
        self,
        root: str,
        deltas: Deltas = "per_step",
        cameras: Sequence[str] = tuple(CAMERAS),
        size_px: int = 224,
        frame_every: int = 1,
    ) -> None:
        super().__init__(root, deltas, cameras, size_px=size_px, frame_every=frame_every)
