"""Stretches of motion as segments: straight pieces, each with the primitive of its dominant effect."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from la4vla.construction.magnitudes import Magnitudes
from la4vla.construction.named import named
from la4vla.construction.pieces import Piece, Pieces, displacement
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive, Status

Interval = tuple[int, int]
CARRYING = {"upward": Primitive.LIFT, "downward": Primitive.LOWER}
TOUCHING = {"upward": Primitive.PULL, "backward": Primitive.PULL, "downward": Primitive.PRESS}


@dataclass(frozen=True)
class Motions:
    """Names motions by status, direction and contact; pieces that go nowhere are left out.

    Args:
        pieces: Cuts a stretch where it bends.
        magnitudes: Says which motions are called slight or far; None calls none so.
    """

    pieces: Pieces
    magnitudes: Magnitudes | None

    def holding(self, episode: Episode, start: int, stop: int) -> list[Segment]:
        """Something held is lifted, lowered or transported."""
        found = []
        for piece in self.pieces.cut(episode, start, stop):
            if piece.directions:
                primitive = CARRYING.get(piece.directions[0], Primitive.TRANSPORT)
                found.append(self._translated(episode, piece, primitive, Status.HOLDING))
        return found

    def empty(
        self, episode: Episode, start: int, stop: int, held_back: list[Interval], before_closing: bool
    ) -> list[Segment]:
        """Empty hands move, and push, pull or press from where something begins to hold them back.

        Args:
            episode: The episode.
            start: The stretch's first step.
            stop: The step after its last.
            held_back: Half-open intervals in which the hand is held back.
            before_closing: Whether the gripper closes on something at ``stop``; the last piece aligns with that.
        """
        found = []
        pieces = self.pieces.cut(episode, start, stop)
        for piece, following in zip_longest(pieces, pieces[1:]):
            aligning = (following is None and before_closing) or _comes_down_to_slide(piece, following)
            found += self._moved(episode, piece, [] if aligning else held_back)
        return found

    def _moved(self, episode: Episode, piece: Piece, held_back: list[Interval]) -> list[Segment]:
        """The motion of an empty gripper, from where something holds it back an interaction with that."""
        begun = [start for start, _ in held_back if piece.start <= start < piece.stop]
        touched = begun[0] if begun else piece.stop
        least = self.pieces.min_steps
        if piece.stop - touched < least:
            return [self._translated(episode, piece, Primitive.MOVE, Status.EMPTY)] if piece.directions else []
        if touched - piece.start < least:
            touched = piece.start
        contact = self.pieces.piece(episode, touched, piece.stop)
        if not contact.directions:
            contact = self.pieces.attempted(episode, touched, piece.stop)
        found = self._moved(episode, self.pieces.piece(episode, piece.start, touched), [])
        if contact.directions:
            primitive = TOUCHING.get(contact.directions[0], Primitive.PUSH)
            found.append(self._translated(episode, contact, primitive, Status.EMPTY))
        return found

    def _translated(self, episode: Episode, piece: Piece, primitive: Primitive, status: Status) -> Segment:
        length = float(np.linalg.norm(displacement(episode, piece.start, piece.stop)))
        magnitude = self.magnitudes.word(length) if self.magnitudes else None
        return named(episode, piece.start, piece.stop, primitive, piece.directions, status, magnitude)


def _comes_down_to_slide(piece: Piece, following: Piece | None) -> bool:
    ahead = following.directions[:1] if following else ()
    return piece.directions[:1] == ("downward",) and bool(ahead) and ahead[0] not in CARRYING
