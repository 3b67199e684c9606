"""A demonstration that cannot be used, while those beside it can."""

from __future__ import annotations


class UnusableEpisode(ValueError):
    """Says of one demonstration why it must be left out.

    Whoever reads many catches it, counts the reason, lists the sentence and goes on with the next demonstration; any
    other error concerns the whole data set.

    Args:
        episode: Key of the demonstration.
        reason: The kind of fault in two or three words, for counting.
        sentence: What was expected and what came.
    """

    def __init__(self, episode: str, reason: str, sentence: str) -> None:
        super().__init__(episode, reason, sentence)
        self.episode, self.reason = episode, reason

    def __str__(self) -> str:
        return f"Episode {self.episode} is left out ({self.reason}): {self.args[2]}"
