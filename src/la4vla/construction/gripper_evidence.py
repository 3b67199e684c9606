"""What demonstrations show of how the gripper follows its commands."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from la4vla.construction.keyframes import runs
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

ANSWER_S = 1.0  # a gripper has begun to move by then
HELD_S = 0.3
LEAST_SWING = 0.4  # commands that vary by less, on a scale from -1 to 1, are hesitations
BEYOND = 0.25  # of the stroke: what lies farther outside is no overshoot


@dataclass(frozen=True)
class GripperEvidence:
    """Counts over commands to close and to open; those of several episodes add up.

    Attributes:
        steps: Steps of all episodes.
        readings_outside: Steps whose opening lies far outside the stated stroke.
        commands_outside: Steps whose command lies far outside the stated ends.
        outside: Least and greatest such command.
        followed: Commands that the opening follows, ``opposed`` those that it opposes.
        opposed: See ``followed``.
        full: Commands that go to one of the stated ends or nearly so.
        released: Ends of a command to close after which the gripper opens; ``kept`` those after which it does not.
        kept: See ``released``.
        resting: Least and greatest command in the latter.
        opening: Least and greatest opening, but for the outermost fiftieth of an episode's steps.
    """

    steps: int = 0
    readings_outside: int = 0
    commands_outside: int = 0
    outside: list[float] = field(default_factory=list)
    followed: int = 0
    opposed: int = 0
    full: int = 0
    released: int = 0
    kept: int = 0
    resting: list[float] = field(default_factory=list)
    opening: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, episode: Episode) -> GripperEvidence:
        """Of one episode; none where the gripper's opening or its ends are not recorded."""
        body = episode.embodiment
        if body.gripper is None or body.gripper_open is None or len(episode) < 2:
            return cls()
        opening = body.opening_of(episode.proprioception)
        seen = cls(
            steps=len(episode),
            readings_outside=int(((opening < -BEYOND) | (opening > 1 + BEYOND)).sum()),
            opening=np.quantile(opening, (0.02, 0.98)).tolist(),
        )
        if body.gripper_action is None or body.gripper_action_open is None:
            return seen
        return seen + _told(body, episode.actions, opening)

    def __add__(self, other: GripperEvidence) -> GripperEvidence:
        joined: dict[str, Any] = {}
        for name, value in asdict(self).items():
            both = value + getattr(other, name)
            joined[name] = [min(both), max(both)] if isinstance(both, list) and both else both
        return GripperEvidence(**joined)

    def to_json(self) -> dict[str, Any]:
        """These counts as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> GripperEvidence:
        """The inverse of :meth:`to_json`."""
        return cls(**fields)


def _told(body: Embodiment, actions: np.ndarray, opening: np.ndarray) -> GripperEvidence:
    """What commands show, beside the opening."""
    closing, raw = body.closing_of(actions), actions[:, body.gripper_action].astype(np.float64)
    beyond = np.abs(closing) > 1 + 2 * BEYOND
    outside = GripperEvidence(commands_outside=int(beyond.sum()), outside=_ends(raw[beyond]))
    said = ~np.isnan(closing)  # nothing is, before the first command that does not keep the gripper as it is
    closing, raw, opening = closing[said], raw[said], opening[said]
    if len(closing) < 2 or np.ptp(closing) < LEAST_SWING:
        return outside
    low, high = float(closing.min()), float(closing.max())
    third = (high - low) / 3
    states = np.where(closing > high - third, 1, np.where(closing < low + third, -1, 0))
    slack = max(0.02, 0.2 * float(np.ptp(np.quantile(opening, (0.02, 0.98)))))
    second, least = (max(1, round(time * body.control_hz)) for time in (ANSWER_S, HELD_S))
    answers = outside + _answers(states, closing, opening, slack, second)
    return answers + _releases(runs(states == 1), closing, raw, opening, slack, second, least)


def _answers(
    states: np.ndarray, closing: np.ndarray, opening: np.ndarray, slack: float, second: int
) -> GripperEvidence:
    """Whether the opening follows each change of the command from one side to the other."""
    told = np.flatnonzero(states)
    turns = [(a, b) for a, b in pairwise(told.tolist()) if states[a] != states[b]]
    followed = opposed = full = 0
    for (before, now), (_, following) in zip(turns, [*turns, (0, len(states) - 1)][1:], strict=True):
        start, stop = max(before, now - second), min(now + second, following)
        way = -float(states[now]) * float(opening[stop] - opening[start])
        followed, opposed = followed + (way > slack), opposed + (way < -slack)
        full += abs(closing[now]) > 0.5 and np.sign(closing[now]) == states[now]
    return GripperEvidence(followed=int(followed), opposed=int(opposed), full=int(full))


def _releases(
    closings: list[tuple[int, int]],
    closing: np.ndarray,
    raw: np.ndarray,
    opening: np.ndarray,
    slack: float,
    second: int,
    least: int,
) -> GripperEvidence:
    """Whether the gripper opens where a command to close ends and another one stands in its place."""
    found = GripperEvidence()
    widest = float(np.quantile(opening, 0.98))
    for start in (stop for _, stop in closings if stop < len(closing)):
        other = np.flatnonzero(np.abs(closing[start:] - closing[start]) > 0.3)
        stop = min(start + second, start + int(other[0]) if len(other) else second, len(closing) - 1)
        # The end is a command to let go, it stands for a while, and there is something to let go of.
        if closing[start] > 0.2 or stop - start < least or opening[start] > widest - slack:
            continue
        if opening[stop] - opening[start] > slack:
            found += GripperEvidence(released=1)
        else:
            found += GripperEvidence(kept=1, resting=_ends(raw[start:stop]))
    return found


def _ends(values: np.ndarray) -> list[float]:
    return [float(values.min()), float(values.max())] if len(values) else []
