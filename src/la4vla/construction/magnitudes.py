"""Words for how far a motion goes: "slightly" for the shortest ones, "far" for the longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Magnitude = Literal["slightly", "far"]


@dataclass(frozen=True)
class Magnitudes:
    """Tells motions that are short or long for a table-top arm from the rest, which get no word.

    The defaults are quantiles of what the scripted experts of both simulators do, so that a word is neither rare nor
    usual. Of Meta-World's motions 15 % are shorter than 3.9 cm and 15 % longer than 18.3 cm; of LIBERO's 5 % are
    shorter than 4.1 cm and 15 % longer than 18.7 cm.

    Args:
        slight_m: A motion that ends nearer to its start is slight.
        far_m: One that ends farther from it goes far.

    Raises:
        ValueError: If ``far_m`` is below ``slight_m``, or that one below 0.
    """

    slight_m: float = 0.04
    far_m: float = 0.18

    def __post_init__(self) -> None:
        if not 0 <= self.slight_m <= self.far_m:
            raise ValueError(f"slight_m and far_m must be ascending lengths, got {self.slight_m} and {self.far_m}.")

    def word(self, length_m: float) -> Magnitude | None:
        """The word for a motion of ``length_m``, or None for one of common length."""
        if length_m < self.slight_m:
            return "slightly"
        return "far" if length_m >= self.far_m else None
