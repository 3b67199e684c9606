"""What a segmenter is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode, Segment


class Pending(NamedTuple):
    """Segments that are on their way.

    Attributes:
        result: Waits for the segments and returns them, or raises what ``segment`` would.
        cancel: Gives up what has not begun; what has is let be.
    """

    result: Callable[[], list[Segment]]
    cancel: Callable[[], object]


class Segmenter(Protocol):
    """Cuts an episode into atomic actions. Only ``segment`` has to be written."""

    @property
    def needs_frames(self) -> bool:
        """Whether episodes must come with their frames."""
        return False

    @property
    def metres_per_unit(self) -> float | None:
        """Metres that a unit of translational action is taken for; None where that does not matter."""
        return None

    def check(self, body: Embodiment) -> None:
        """Refuse a body of which too little is known to segment its episodes, before any is read.

        Raises:
            ValueError: In a sentence that names what is missing.
        """

    def segment(self, episode: Episode) -> list[Segment]:
        """The segments of ``episode``, ascending and without overlap; steps may be left out.

        Raises:
            UnusableEpisode: If this episode, but not others, cannot be segmented.
        """
        ...

    def begin(self, episode: Episode) -> Pending:
        """Begin to segment ``episode``; a segmenter that waits for others does it aside, several at once.

        What needs the episode's frames is done before this returns, so that a reader may go on to the next.
        """
        begun: Future[list[Segment]] = Future()
        try:
            begun.set_result(self.segment(episode))
        except UnusableEpisode as unusable:
            begun.set_exception(unusable)
        return Pending(begun.result, begun.cancel)

    def outlook(self, episodes: Iterable[Episode], total: int) -> list[str]:
        """Lines on what segmenting ``total`` episodes would cost, judged by a sample of them."""
        return [f"Segmenting {total} episodes asks nobody and costs nothing."]

    def account(self) -> list[str]:
        """Lines on what segmenting has cost and which episodes failed; empty where there is nothing to tell."""
        return []
