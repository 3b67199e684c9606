"""A segment of an episode with its instruction."""

from __future__ import annotations

from la4vla.construction.instructions import write_instruction
from la4vla.construction.magnitudes import Magnitude
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import DEFINITIONS, Motion, Primitive, Status


def named(
    episode: Episode,
    start: int,
    stop: int,
    primitive: Primitive,
    words: tuple[str, ...],
    status: Status,
    magnitude: Magnitude | None = None,
) -> Segment:
    """Steps ``start`` to ``stop`` as ``primitive``, told by ``words``; the wording hangs on the key and the start.

    Only a translation's words are its directions: a turn's say which way or where to.
    """
    instruction = write_instruction(primitive, words, status, f"{episode.key}/{start}", magnitude)
    directions = words if DEFINITIONS[primitive].motion is Motion.TRANSLATION else ()
    return Segment(start, stop, primitive, instruction, directions)
