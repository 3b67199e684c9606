"""A segmenter that needs proprioception and actions alone: no vision, no language model."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.signal import medfilt

from la4vla.construction.directions import directions_of, simplify
from la4vla.construction.instructions import write_instruction
from la4vla.construction.keyframes import KeyframeDetector, runs
from la4vla.construction.segmenters.base import Segmenter
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive, Status

Interval = tuple[int, int]


@dataclass(frozen=True)
class KinematicSegmenter(Segmenter):
    """Cuts at gripper commands, rests and changes of the commanded direction.

    The path that is cut is the commanded one, the sum of the translational actions, because commands lead the hand: a
    cut on the hand's path would leave the first actions of a segment pointing where the previous one went.

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
        lead_steps: Steps at the beginning of a piece whose summed command must agree with a second direction word.
        settle_steps: Longest time a gripper takes to close or open.
        settled_speed: Change of the opening per step, as a fraction of its stroke, below which it has settled.
        departure_speed: Commanded translation, as a length in units of the action, above which a gripper action has
            become the next motion.
        held_opening: A gripper closed from the first step on is a fist, unless it stays open by more than this
            fraction of its stroke. One that closes later, after an approach with open fingers, closes on something.
        max_waits: Rests kept per episode, the longest ones; a policy needs few examples of doing nothing.
    """

    keyframes: KeyframeDetector = field(default_factory=KeyframeDetector)
    command_m: float = 0.01
    close_above: float = 0.05
    tolerance_m: float = 0.02
    min_steps: int = 6
    min_displacement_m: float = 0.02
    secondary_ratio: float = 0.5
    lead_steps: int = 16
    settle_steps: int = 40
    settled_speed: float = 0.01
    departure_speed: float = 0.5
    held_opening: float = 0.08
    max_waits: int = 1

    def segment(self, episode: Episode) -> list[Segment]:
        """The segments of ``episode``, ascending and without overlap."""
        command = _gripper_command(episode) > self.close_above
        closed = medfilt(command.astype(np.float64), 5) > 0.5
        holding = self._holding(episode, closed)
        free = np.ones(len(episode), dtype=bool)
        segments: list[Segment] = []
        for start, stop in self._gripper_actions(episode, closed, holding):
            free[start:stop] = False
            primitive = Primitive.GRASP if closed[start] else Primitive.PLACE
            segments.append(_named(episode, start, stop, primitive, (), Status.HOLDING))
        for start, stop in self._rests(episode, free):
            free[start:stop] = False
            segments.append(_named(episode, start, stop, Primitive.WAIT, (), _status(holding[start])))
        for status in (True, False):
            for stretch in runs(free & (holding == status)):
                segments += self._motions(episode, stretch, _status(status))
        return self._few_waits(sorted(segments, key=lambda s: s.start))

    def _holding(self, episode: Episode, closed: np.ndarray) -> np.ndarray:
        """Per step, whether the gripper holds something."""
        holding = closed.copy()
        for start, stop in runs(closed):
            if start == 0:
                settled = _opening(episode)[min(self.settle_steps, stop - 1) : stop]
                holding[start:stop] = float(np.median(settled)) > self.held_opening
        return holding

    def _gripper_actions(self, episode: Episode, closed: np.ndarray, holding: np.ndarray) -> list[Interval]:
        """Closings on an object and releases of one: from the command until the fingers rest or the hand departs."""
        changes = (np.flatnonzero(closed[1:] != closed[:-1]) + 1).tolist()
        moving = np.abs(np.diff(_opening(episode), append=np.nan)) >= self.settled_speed
        found = []
        for change, following in pairwise([*changes, len(closed)]):
            if not (holding[change] or holding[change - 1]):
                continue
            stop = min(change + self.settle_steps, following)
            fingers = np.flatnonzero(moving[change:stop])
            stop = min(stop, change + max(self.min_steps, int(fingers[-1]) + 1 if len(fingers) else 0))
            stop = self._departure(episode, change, stop)
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

    def _motions(self, episode: Episode, stretch: Interval, status: Status) -> list[Segment]:
        """The directed pieces of one stretch without gripper actions and rests."""
        start, stop = stretch
        path = np.zeros((stop - start + 1, 3))
        np.cumsum(_commands(episode)[start:stop] * self.command_m, axis=0, out=path[1:])
        knots = self._long_enough(path, simplify(path, self.tolerance_m))
        pieces = [(start + a, start + b, self._directions(episode, start + a, start + b)) for a, b in pairwise(knots)]
        # Neighbours that would get the same words are one motion.
        for i in range(len(pieces) - 1, 0, -1):
            if pieces[i][2] and pieces[i][2] == pieces[i - 1][2]:
                pieces[i - 1 : i + 1] = [(pieces[i - 1][0], pieces[i][1], pieces[i][2])]
        return [
            _named(episode, a, b, _translation(directions, status), directions, status)
            for a, b, directions in pieces
            if directions
        ]

    def _directions(self, episode: Episode, start: int, stop: int) -> tuple[str, ...]:
        """The direction words of a piece; none where it is too short to have a direction."""
        moved = _displacement(episode, start, stop)
        if stop - start < self.min_steps or np.linalg.norm(moved) < self.min_displacement_m:
            return ()
        words = directions_of(moved, episode.embodiment, self.secondary_ratio)
        lead = _commands(episode)[start:stop][: self.lead_steps].sum(axis=0)
        # A second word must hold from the start; the first one stays, for a check to judge.
        return words[:1] + tuple(word for word in words[1:] if lead @ episode.embodiment.direction(word) > 0)

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

    def _few_waits(self, segments: list[Segment]) -> list[Segment]:
        waits = sorted((s for s in segments if s.primitive is Primitive.WAIT), key=len, reverse=True)
        return [s for s in segments if s not in waits[self.max_waits :]]


def _translation(directions: tuple[str, ...], status: Status) -> Primitive:
    if status is Status.EMPTY:
        return Primitive.MOVE
    return {"upward": Primitive.LIFT, "downward": Primitive.LOWER}.get(directions[0], Primitive.TRANSPORT)


def _named(
    episode: Episode, start: int, stop: int, primitive: Primitive, directions: tuple[str, ...], status: Status
) -> Segment:
    instruction = write_instruction(primitive, directions, status, f"{episode.key}/{start}")
    return Segment(start, stop, primitive, instruction, directions)


def _status(holding: bool) -> Status:
    return Status.HOLDING if holding else Status.EMPTY


def _commands(episode: Episode) -> np.ndarray:
    return episode.actions[:, list(episode.embodiment.translation)].astype(np.float64)


def _displacement(episode: Episode, start: int, stop: int) -> np.ndarray:
    position = episode.proprioception[:, list(episode.embodiment.position)].astype(np.float64)
    moved: np.ndarray = position[min(stop, len(position) - 1)] - position[start]
    return moved


def _gripper_command(episode: Episode) -> np.ndarray:
    """What the gripper is told per step: -1 opens fully, 1 closes fully."""
    body = episode.embodiment
    if body.gripper_action is None:
        return 1.0 - 2.0 * _opening(episode) if body.gripper is not None else -np.ones(len(episode))
    command = episode.actions[:, body.gripper_action].astype(np.float64)
    way = body.gripper_action_closed - body.gripper_action_open
    scaled: np.ndarray = 2.0 * (command - body.gripper_action_open) / way - 1.0
    return scaled


def _opening(episode: Episode) -> np.ndarray:
    """The gripper's opening, 0 when closed on nothing and 1 when fully open; all zeros without a gripper."""
    body = episode.embodiment
    if body.gripper is None:
        return np.zeros(len(episode))
    opening = episode.proprioception[:, body.gripper].astype(np.float64)
    return (opening - body.gripper_closed) / (body.gripper_open - body.gripper_closed)
