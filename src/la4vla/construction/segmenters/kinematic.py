"""A segmenter that needs proprioception and actions alone: no vision, no language model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from la4vla.construction.consistency import refuse_absolute
from la4vla.construction.contacts import ContactDetector
from la4vla.construction.durations import check_times, odd_steps_of, steps_of
from la4vla.construction.grip import Grip
from la4vla.construction.gripper_actions import GripperActions
from la4vla.construction.keyframes import KeyframeDetector, runs
from la4vla.construction.magnitudes import Magnitudes
from la4vla.construction.motions import Motions
from la4vla.construction.named import named
from la4vla.construction.pieces import Pieces
from la4vla.construction.rotations import RotationDetector
from la4vla.construction.segmenters.base import Segmenter
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive, Status

Interval = tuple[int, int]
LEAST_STEPS = 3  # of anything that has a direction or a middle, however slow the rate
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
        min_s: Shorter pieces are merged with the neighbour that points most nearly the same way. Like all times it is
            in seconds and counted at the rate of each demonstration; no piece is shorter than three steps.
        min_displacement_m: A piece whose hand moves less has no direction and is left out.
        secondary_ratio: A second axis is named where its displacement is at least this fraction of the dominant one's.
        min_bend_deg: Neighbouring pieces at a smaller angle are one motion; 0 keeps every bend. A straight way whose
            commands are clipped axis by axis bends by up to 45 degrees where one of two axes arrives first.
        lead_s: Beginning of a piece, in seconds, whose summed command must agree with a second direction word.
        settle_s: Longest time a gripper takes to close or open.
        settled_strokes_s: Change of the opening per second, as a fraction of its stroke, below which it has settled.
        departure_m_s: Commanded speed, in metres a second, above which a gripper action has become the next motion.
        blip_s: A gripper command that comes back within half of this is a hesitation.
        held_opening: A gripper closed from the first step on is a fist, unless it stays open by more than this
            fraction of its stroke. One that closes later, after an approach with open fingers, closes on something.
        closing_left: Holding begins when this share of the fingers' way to where they come to rest is left.
        max_waits: Rests kept per episode, the longest ones; a policy needs few examples of doing nothing.
        contacts: Finds where something holds the hand back; None claims no push, pull or press.
        rotations: Finds where the hand turns; None claims no rotation.
        magnitudes: Says which motions are called slight or far; None calls none so.

    Raises:
        ValueError: If a time is negative, or a unit of action commands no way.
    """

    keyframes: KeyframeDetector = field(default_factory=KeyframeDetector)
    command_m: float = 0.01
    close_above: float = 0.05
    tolerance_m: float = 0.02
    min_s: float = 0.075
    min_displacement_m: float = 0.02
    secondary_ratio: float = 0.5
    min_bend_deg: float = 50.0
    lead_s: float = 0.2
    settle_s: float = 0.5
    settled_strokes_s: float = 0.8
    departure_m_s: float = 0.4
    blip_s: float = 0.0625
    held_opening: float = 0.08
    closing_left: float = 0.1
    max_waits: int = 1
    contacts: ContactDetector | None = field(default_factory=ContactDetector)
    rotations: RotationDetector | None = field(default_factory=RotationDetector)
    magnitudes: Magnitudes | None = field(default_factory=Magnitudes)

    def __post_init__(self) -> None:
        if not self.command_m > 0:
            raise ValueError(f"command_m must be above 0, got {self.command_m}.")
        check_times(min_s=self.min_s, lead_s=self.lead_s, settle_s=self.settle_s, blip_s=self.blip_s)

    @property
    def metres_per_unit(self) -> float | None:
        """Metres that a unit of translational action is taken for."""
        return self.command_m

    def check(self, body: Embodiment) -> None:
        """Refuse a body whose motion, or whose gripper's, cannot be told in words.

        Raises:
            ValueError: In a sentence that names what is missing.
        """
        body.require("KinematicSegmenter", "position", "translation", "forward", "left", "up")
        if body.gripper is not None:
            body.require("KinematicSegmenter", "gripper_open", "gripper_closed")
        if body.gripper_action is not None:
            body.require("KinematicSegmenter", "gripper_action_open", "gripper_action_closed")
        refuse_absolute("KinematicSegmenter", body)

    def segment(self, episode: Episode) -> list[Segment]:
        """The segments of ``episode``, ascending and without overlap."""
        grip = self._grip(episode)
        free = np.ones(len(episode), dtype=bool)
        segments: list[Segment] = []
        hz = episode.embodiment.control_hz
        actions = GripperActions(
            self._min_steps(hz),
            steps_of(self.settle_s, hz),
            self.settled_strokes_s / hz,
            self.departure_m_s / (self.command_m * hz),
        )
        closings: set[int] = set()
        for start, stop in actions.find(episode, grip):
            free[start:stop] = False
            primitive = Primitive.GRASP if grip.closed[start] else Primitive.PLACE
            if grip.closed[start]:
                closings.add(start)
            segments.append(named(episode, start, stop, primitive, (), Status.HOLDING))
        for turn in self.rotations.find(episode, free) if self.rotations else []:
            free[turn.start : turn.stop] = False
            status = _status(grip.holding[turn.start])
            primitive = TURNING[status, turn.about_tool]
            segments.append(named(episode, turn.start, turn.stop, primitive, (turn.word,), status))
        held_back = self.contacts.find(episode) if self.contacts else []
        for start, stop in self._rests(episode, free):
            if not grip.holding[start] and _covered(start, stop, held_back):
                continue  # sent on and stopped: that is contact, not rest
            free[start:stop] = False
            segments.append(named(episode, start, stop, Primitive.WAIT, (), _status(grip.holding[start])))
        motions = Motions(self._pieces(hz), self.magnitudes)
        for start, stop in runs(free & grip.holding):
            segments += motions.holding(episode, start, stop)
        for start, stop in runs(free & ~grip.holding):
            segments += motions.empty(episode, start, stop, held_back, before_closing=stop in closings)
        return self._few_waits(sorted(segments, key=lambda s: s.start))

    def holding(self, episode: Episode) -> np.ndarray:
        """Per step, ``(T,)`` bool, whether the gripper holds something."""
        return self._grip(episode).holding

    def _min_steps(self, hz: float) -> int:
        return steps_of(self.min_s, hz, LEAST_STEPS)

    def _pieces(self, hz: float) -> Pieces:
        return Pieces(
            self.command_m,
            self.tolerance_m,
            self._min_steps(hz),
            self.min_displacement_m,
            self.secondary_ratio,
            self.min_bend_deg,
            steps_of(self.lead_s, hz, LEAST_STEPS),
        )

    def _grip(self, episode: Episode) -> Grip:
        hz = episode.embodiment.control_hz
        settle, blip = steps_of(self.settle_s, hz), odd_steps_of(self.blip_s, hz, LEAST_STEPS)
        return Grip.read(episode, self.close_above, self.held_opening, self.closing_left, settle, blip)

    def _rests(self, episode: Episode, free: np.ndarray) -> list[Interval]:
        still = np.zeros(len(episode), dtype=bool)
        for start, stop in self.keyframes.static_intervals(episode):
            still[start:stop] = True
        least = self._min_steps(episode.embodiment.control_hz)
        return [(start, stop) for start, stop in runs(still & free) if stop - start >= least]

    def _few_waits(self, segments: list[Segment]) -> list[Segment]:
        waits = sorted((s for s in segments if s.primitive is Primitive.WAIT), key=len, reverse=True)
        return [s for s in segments if s not in waits[self.max_waits :]]


def _covered(start: int, stop: int, intervals: list[Interval]) -> bool:
    """Whether the intervals cover at least half of the steps from ``start`` to ``stop``."""
    return 2 * sum(max(0, min(stop, b) - max(start, a)) for a, b in intervals) >= stop - start


def _status(holding: bool) -> Status:
    return Status.HOLDING if holding else Status.EMPTY
