"""A segmenter that needs proprioception and actions alone: no vision, no language model."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

import numpy as np

from la4vla.construction.contacts import ContactDetector
from la4vla.construction.grip import Grip
from la4vla.construction.instructions import write_instruction
from la4vla.construction.keyframes import KeyframeDetector, runs
from la4vla.construction.magnitudes import Magnitude, Magnitudes
from la4vla.construction.pieces import Piece, Pieces, displacement
from la4vla.construction.rotations import RotationDetector, Turn
from la4vla.construction.segmenters.base import Segmenter
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive, Status

Interval = tuple[int, int]
CARRYING = {"upward": Primitive.LIFT, "downward": Primitive.LOWER}
TOUCHING = {"upward": Primitive.PULL, "backward": Primitive.PULL, "downward": Primitive.PRESS}
TURNING = {
    (Status.HOLDING, True): Primitive.WRIST_ROTATE,
    (Status.HOLDING, False): Primitive.REORIENT,
    (Status.EMPTY, True): Primitive.ROTATE_FREE,
    (Status.EMPTY, False): Primitive.REORIENT_FREE,
}


@dataclass(frozen=True)
class KinematicSegmenter(Segmenter):
    """Cuts at gripper commands, rests, turns of the hand, contact, and changes of the commanded direction.

    The path that is cut is the commanded one, the sum of the translational actions, because commands lead the hand: a
    cut on the hand's path would leave the first actions of a segment pointing where the previous one went.

    A segment gets the primitive of its dominant effect, by what evidence asks for:

    - ``grasp``, ``place``: the gripper is told to close on something, or to open while it holds;
    - ``lift``, ``lower``, ``transport``: a motion while holding, by its dominant axis; ``move``: one with empty hands;
    - ``push``, ``pull``, ``press``: a motion with empty hands that something begins to hold back
      (:class:`ContactDetector`), from there on: ``press`` downward, ``pull`` upward or toward the robot's base,
      ``push`` any other way. It is not claimed where a closing of the gripper ends the motion, which is an alignment;
      of a motion downward before a horizontal one, which comes down to what is slid along; nor of a held tool, whose
      carrying dominates;
    - ``wrist_rotate``, ``reorient`` and their free twins: the hand turns more than it travels, where an orientation is
      recorded (:class:`RotationDetector`);
    - ``wait``: the arm rests, and nothing stops it.

    Args:
        keyframes: Finds the rests.
        command_m: Metres of commanded path per unit of translational action.
        close_above: A command above this closes, on a scale from -1, which opens fully, to 1, which closes fully; at
            or below it opens or lets be. The embodiment says which action commands the gripper; where it names none,
            the measured opening stands for the command.
        tolerance_m: Ramer-Douglas-Peucker tolerance: a bend that deviates by less is no change of direction.
        min_steps: Shorter pieces are merged with the neighbour that points most nearly the same way.
        min_displacement_m: A piece whose hand moves less has no direction and is left out.
        secondary_ratio: A second axis is named where its displacement is at least this fraction of the dominant one's.
        min_bend_deg: Neighbouring pieces at a smaller angle are one motion; 0 keeps every bend.
        lead_steps: Steps at the beginning of a piece whose summed command must agree with a second direction word.
        settle_steps: Longest time a gripper takes to close or open.
        settled_speed: Change of the opening per step, as a fraction of its stroke, below which it has settled.
        departure_speed: Commanded translation, as a length in units of the action, above which a gripper action has
            become the next motion.
        held_opening: A gripper closed from the first step on is a fist, unless it stays open by more than this
            fraction of its stroke. One that closes later, after an approach with open fingers, closes on something.
        closing_left: Holding begins when this share of the fingers' way to where they come to rest is left.
        max_waits: Rests kept per episode, the longest ones; a policy needs few examples of doing nothing.
        contacts: Finds where something holds the hand back; None claims no push, pull or press.
        rotations: Finds where the hand turns; None claims no rotation.
        magnitudes: Says which motions are called slight or far; None calls none so.
    """

    keyframes: KeyframeDetector = field(default_factory=KeyframeDetector)
    command_m: float = 0.01
    close_above: float = 0.05
    tolerance_m: float = 0.02
    min_steps: int = 6
    min_displacement_m: float = 0.02
    secondary_ratio: float = 0.5
    min_bend_deg: float = 0.0
    lead_steps: int = 16
    settle_steps: int = 40
    settled_speed: float = 0.01
    departure_speed: float = 0.5
    held_opening: float = 0.08
    closing_left: float = 0.1
    max_waits: int = 1
    contacts: ContactDetector | None = field(default_factory=ContactDetector)
    rotations: RotationDetector | None = field(default_factory=RotationDetector)
    magnitudes: Magnitudes | None = field(default_factory=Magnitudes)

    def segment(self, episode: Episode) -> list[Segment]:
        """The segments of ``episode``, ascending and without overlap."""
        grip = self._grip(episode)
        free = np.ones(len(episode), dtype=bool)
        segments: list[Segment] = []
        actions = self._gripper_actions(episode, grip)
        for start, stop in actions:
            free[start:stop] = False
            primitive = Primitive.GRASP if grip.closed[start] else Primitive.PLACE
            segments.append(_named(episode, start, stop, primitive, (), Status.HOLDING))
        for turn in self.rotations.find(episode, free) if self.rotations else []:
            free[turn.start : turn.stop] = False
            segments.append(_turned(episode, turn, _status(grip.holding[turn.start])))
        held_back = self.contacts.find(episode) if self.contacts else []
        for start, stop in self._rests(episode, free):
            if not grip.holding[start] and _covered(start, stop, held_back):
                continue  # sent on and stopped: that is contact, not rest
            free[start:stop] = False
            segments.append(_named(episode, start, stop, Primitive.WAIT, (), _status(grip.holding[start])))
        closings = {start for start, _ in actions if grip.closed[start]}
        for start, stop in runs(free & grip.holding):
            for piece in self._pieces.cut(episode, start, stop):
                segments += self._carried(episode, piece)
        for start, stop in runs(free & ~grip.holding):
            pieces = self._pieces.cut(episode, start, stop)
            for piece, following in zip_longest(pieces, pieces[1:]):
                aligning = (following is None and stop in closings) or _comes_down_to_slide(piece, following)
                segments += self._moved(episode, piece, [] if aligning else held_back)
        return self._few_waits(sorted(segments, key=lambda s: s.start))

    def holding(self, episode: Episode) -> np.ndarray:
        """Per step, ``(T,)`` bool, whether the gripper holds something."""
        return self._grip(episode).holding

    @property
    def _pieces(self) -> Pieces:
        return Pieces(
            self.command_m,
            self.tolerance_m,
            self.min_steps,
            self.min_displacement_m,
            self.secondary_ratio,
            self.min_bend_deg,
            self.lead_steps,
        )

    def _grip(self, episode: Episode) -> Grip:
        return Grip.read(episode, self.close_above, self.held_opening, self.closing_left, self.settle_steps)

    def _gripper_actions(self, episode: Episode, grip: Grip) -> list[Interval]:
        """Closings on an object and releases of one: from the command until the fingers rest or the hand departs."""
        closed = grip.closed
        changes = (np.flatnonzero(closed[1:] != closed[:-1]) + 1).tolist()
        moving = np.abs(np.diff(grip.opening, append=np.nan)) >= self.settled_speed
        found = []
        for change, following in pairwise([*changes, len(closed)]):
            if not (grip.holding[change - 1] or grip.holding[change:following].any()):
                continue
            stop = min(change + self.settle_steps, following)
            fingers = np.flatnonzero(moving[change:stop])
            stop = min(stop, change + max(self.min_steps, int(fingers[-1]) + 1 if len(fingers) else 0))
            stop = self._departure(episode, change, stop)
            # What is left until something is held is no motion of its own.
            held = np.flatnonzero(grip.holding[stop : min(stop + self.min_steps, following)])
            stop += int(held[0]) if closed[change] and len(held) else 0
            if stop - change >= self.min_steps:
                found.append((change, stop))
        return found

    def _departure(self, episode: Episode, change: int, stop: int) -> int:
        """The step before ``stop`` at which the hand is sent elsewhere than it was going when the gripper acted."""
        commands = _commands(episode)[change:stop]
        going = commands[: self.min_steps].mean(axis=0)
        fast = np.linalg.norm(commands, axis=1) > self.departure_speed
        # Going on as before is the end of the approach; a hand that had come to rest departs whichever way it goes.
        elsewhere = commands @ going < 0.5 * np.linalg.norm(commands, axis=1) * np.linalg.norm(going)
        rested = np.linalg.norm(going) < self.departure_speed
        leaves = np.flatnonzero(fast & (elsewhere | rested))
        leaves = leaves[leaves >= self.min_steps]
        return change + int(leaves[0]) if len(leaves) else stop

    def _rests(self, episode: Episode, free: np.ndarray) -> list[Interval]:
        still = np.zeros(len(episode), dtype=bool)
        for start, stop in self.keyframes.static_intervals(episode):
            still[start:stop] = True
        return [(start, stop) for start, stop in runs(still & free) if stop - start >= self.min_steps]

    def _carried(self, episode: Episode, piece: Piece) -> list[Segment]:
        """The motion of something held."""
        if not piece.directions:
            return []
        primitive = CARRYING.get(piece.directions[0], Primitive.TRANSPORT)
        return [self._translated(episode, piece, primitive, Status.HOLDING)]

    def _moved(self, episode: Episode, piece: Piece, held_back: list[Interval]) -> list[Segment]:
        """The motion of an empty gripper, from where something holds it back an interaction with that."""
        begun = [start for start, _ in held_back if piece.start <= start < piece.stop]
        touched = begun[0] if begun else piece.stop
        if piece.stop - touched < self.min_steps:
            return [self._translated(episode, piece, Primitive.MOVE, Status.EMPTY)] if piece.directions else []
        if touched - piece.start < self.min_steps:
            touched = piece.start
        contact = self._pieces.piece(episode, touched, piece.stop)
        if not contact.directions:
            contact = self._pieces.attempted(episode, touched, piece.stop)
        found = self._moved(episode, self._pieces.piece(episode, piece.start, touched), [])
        if contact.directions:
            primitive = TOUCHING.get(contact.directions[0], Primitive.PUSH)
            found.append(self._translated(episode, contact, primitive, Status.EMPTY))
        return found

    def _translated(self, episode: Episode, piece: Piece, primitive: Primitive, status: Status) -> Segment:
        length = float(np.linalg.norm(displacement(episode, piece.start, piece.stop)))
        magnitude = self.magnitudes.word(length) if self.magnitudes else None
        return _named(episode, piece.start, piece.stop, primitive, piece.directions, status, magnitude)

    def _few_waits(self, segments: list[Segment]) -> list[Segment]:
        waits = sorted((s for s in segments if s.primitive is Primitive.WAIT), key=len, reverse=True)
        return [s for s in segments if s not in waits[self.max_waits :]]


def _comes_down_to_slide(piece: Piece, following: Piece | None) -> bool:
    ahead = following.directions[:1] if following else ()
    return piece.directions[:1] == ("downward",) and bool(ahead) and ahead[0] not in CARRYING


def _covered(start: int, stop: int, intervals: list[Interval]) -> bool:
    """Whether the intervals cover at least half of the steps from ``start`` to ``stop``."""
    return 2 * sum(max(0, min(stop, b) - max(start, a)) for a, b in intervals) >= stop - start


def _named(
    episode: Episode,
    start: int,
    stop: int,
    primitive: Primitive,
    directions: tuple[str, ...],
    status: Status,
    magnitude: Magnitude | None = None,
) -> Segment:
    instruction = write_instruction(primitive, directions, status, f"{episode.key}/{start}", magnitude)
    return Segment(start, stop, primitive, instruction, directions)


def _turned(episode: Episode, turn: Turn, status: Status) -> Segment:
    primitive = TURNING[status, turn.about_tool]
    # A turn's word is no direction of travel, which is what a segment's directions are.
    instruction = write_instruction(primitive, (turn.word,), status, f"{episode.key}/{turn.start}")
    return Segment(turn.start, turn.stop, primitive, instruction)


def _status(holding: bool) -> Status:
    return Status.HOLDING if holding else Status.EMPTY


def _commands(episode: Episode) -> np.ndarray:
    return episode.actions[:, list(episode.embodiment.translation)].astype(np.float64)
