"""Straight pieces of the commanded path, and the words for where they lead."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from la4vla.construction.directions import directions_of, simplify
from la4vla.schema.episode import Episode


class Piece(NamedTuple):
    """Steps ``start`` to ``stop`` of one direction; no words where the hand goes nowhere."""

    start: int
    stop: int
    directions: tuple[str, ...]


@dataclass(frozen=True)
class Pieces:
    """Cuts stretches of motion into straight pieces; the arguments are those of the kinematic segmenter."""

    command_m: float
    tolerance_m: float
    min_steps: int
    min_displacement_m: float
    secondary_ratio: float
    min_bend_deg: float
    lead_steps: int

    def cut(self, episode: Episode, start: int, stop: int) -> list[Piece]:
        """The pieces of steps ``start`` to ``stop``, ascending and without gaps."""
        path = np.zeros((stop - start + 1, 3))
        np.cumsum(commands(episode)[start:stop] * self.command_m, axis=0, out=path[1:])
        knots = self._bent(path, self._long_enough(path, simplify(path, self.tolerance_m)))
        pieces = [self.piece(episode, start + a, start + b) for a, b in pairwise(knots)]
        # Neighbours that would get the same words are one motion.
        for i in range(len(pieces) - 1, 0, -1):
            if pieces[i].directions and pieces[i].directions == pieces[i - 1].directions:
                pieces[i - 1 : i + 1] = [pieces[i - 1]._replace(stop=pieces[i].stop)]
        return pieces

    def piece(self, episode: Episode, start: int, stop: int) -> Piece:
        """A piece with its words; none where it is too short to have a direction."""
        moved = displacement(episode, start, stop)
        if stop - start < self.min_steps or np.linalg.norm(moved) < self.min_displacement_m:
            return Piece(start, stop, ())
        words = directions_of(moved, episode.embodiment, self.secondary_ratio)
        lead = commands(episode)[start:stop][: self.lead_steps].sum(axis=0)
        # A second word must hold from the start; the first one stays, for a check to judge.
        held = tuple(word for word in words[1:] if lead @ episode.embodiment.direction(word) > 0)
        return Piece(start, stop, words[:1] + held)

    def attempted(self, episode: Episode, start: int, stop: int) -> Piece:
        """A piece with the word for where it is commanded, though it gets less far than a motion would."""
        commanded = commands(episode)[start:stop].sum(axis=0)
        (word,) = directions_of(commanded, episode.embodiment, secondary_ratio=np.inf)
        along = float(displacement(episode, start, stop) @ episode.embodiment.direction(word))
        return Piece(start, stop, (word,) if stop - start >= self.min_steps and along > 0 else ())

    def _long_enough(self, path: np.ndarray, knots: list[int]) -> list[int]:
        """Knots without those that bound a piece shorter than ``min_steps``, as far as there are neighbours."""
        knots = list(knots)
        while len(knots) > 2 and min(lengths := np.diff(knots).tolist()) < self.min_steps:
            piece = lengths.index(min(lengths))
            chords = np.diff(path[knots], axis=0)
            chords /= np.linalg.norm(chords, axis=1, keepdims=True) + 1e-9
            before = chords[piece] @ chords[piece - 1] if piece > 0 else -np.inf
            after = chords[piece] @ chords[piece + 1] if piece + 1 < len(chords) else -np.inf
            del knots[piece if before >= after else piece + 1]
        return knots

    def _bent(self, path: np.ndarray, knots: list[int]) -> list[int]:
        """Knots without those at which the path bends by too little, the slightest first."""
        knots = list(knots)
        while self.min_bend_deg and len(knots) > 2:
            chords = np.diff(path[knots], axis=0)
            chords /= np.linalg.norm(chords, axis=1, keepdims=True) + 1e-9
            cosines = (chords[1:] * chords[:-1]).sum(axis=1)
            slightest = int(cosines.argmax())
            if cosines[slightest] <= np.cos(np.radians(self.min_bend_deg)):
                break
            del knots[slightest + 1]
        return knots


def displacement(episode: Episode, start: int, stop: int) -> np.ndarray:
    """How far the hand goes from step ``start`` to step ``stop``, ``(3,)`` metres."""
    position = episode.embodiment.position_of(episode.proprioception)
    moved: np.ndarray = position[min(stop, len(position) - 1)] - position[start]
    return moved


def commands(episode: Episode) -> np.ndarray:
    """The translational actions, ``(T, 3)``."""
    return episode.embodiment.translation_of(episode.actions)
