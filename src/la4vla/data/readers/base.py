"""What a reader is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode
from la4vla.schema.view import ViewProfile

Key = tuple[str, int]


class Reader(Protocol):
    """A source of demonstrations, each under a key ``(task, index)``.

    A reader travels to worker processes by pickle, so it opens files and simulators no earlier than in ``read``.

    Attributes:
        embodiment: Whose numbers the episodes hold.
        view: How frames are made, or None where the source has none.
    """

    embodiment: Embodiment
    view: ViewProfile | None

    def keys(self, tasks: str | Sequence[str] = "all", episodes: int | None = None) -> list[Key]:
        """Keys of the first ``episodes`` demonstrations (None: all) of a selection of tasks, in a stable order."""
        ...

    def read(self, key: Key, frames: bool, dropped: Counter[str]) -> Episode:
        """One demonstration, the same whenever it is read; what was given up on the way is counted by reason."""
        ...

    def close(self) -> None:
        """Free what reading opened."""
        ...
