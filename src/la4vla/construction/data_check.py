"""Check of demonstrations against their embodiment: commands are compared with the motion they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from la4vla.construction.gripper_evidence import GripperEvidence
from la4vla.construction.motion_evidence import MotionEvidence
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode

AXES = "xyz"
FASTEST_M_S = 5.0  # no arm averages as much
TARGETS = 0.6
FITTING = 0.6
LEAST_SHARE = 0.1  # of the motion; along an axis with less, noise decides
OUTSIDE = 0.05  # of the steps
NEVER_OPEN = 0.2  # of the stroke


@dataclass(frozen=True)
class Evidence:
    """Sums over demonstrations from which their embodiment is checked; those of several add up."""

    episodes: int
    motion: MotionEvidence
    gripper: GripperEvidence

    @classmethod
    def none(cls) -> Evidence:
        """Of no demonstration."""
        return cls(0, MotionEvidence.none(), GripperEvidence())

    @classmethod
    def of(cls, episode: Episode) -> Evidence:
        """Of one demonstration."""
        return cls(1, MotionEvidence.of(episode), GripperEvidence.of(episode))

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(self.episodes + other.episodes, self.motion + other.motion, self.gripper + other.gripper)

    def to_json(self) -> dict[str, Any]:
        """This evidence as plain JSON values."""
        return {"episodes": self.episodes, "motion": self.motion.to_json(), "gripper": self.gripper.to_json()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Evidence:
        """The inverse of :meth:`to_json`."""
        motion, gripper = MotionEvidence.from_json(fields["motion"]), GripperEvidence.from_json(fields["gripper"])
        return cls(fields["episodes"], motion, gripper)


@dataclass(frozen=True)
class DataCheck:
    """Refuses a set whose demonstrations contradict their embodiment; too little evidence is no objection.

    The bounds are far from what good data show: over two demonstrations of each of Meta-World's fifty tasks, contact,
    clipped commands and noise included, the agreement of a task is 0.76 to 1.00, a unit of action moves the hand by
    0.41 to 1.0 times ``command_m``, and no gripper opposes a command.

    Args:
        least_agreement: Least mean cosine between the way of the hand in half a second and the sum of its commands.
        greatest_factor: How many times farther, or less far, a unit of action may move the hand than the segmenter's
            ``command_m`` says.
        greatest_opposed: Greatest share of gripper commands whose opposite happens.
        least_windows: Half seconds of motion needed to judge; ``least_commands`` likewise for a gripper.
        least_commands: See ``least_windows``.
        first_episodes: Demonstrations of a shard group that are read before they are judged for the first time.

    Raises:
        ValueError: If a number is out of range.
    """

    least_agreement: float = 0.4
    greatest_factor: float = 6.0
    greatest_opposed: float = 0.34
    least_windows: int = 10
    least_commands: int = 3
    first_episodes: int = 4

    def __post_init__(self) -> None:
        if not (0 <= self.least_agreement <= 1 and 0 <= self.greatest_opposed <= 1 and self.greatest_factor >= 1):
            raise ValueError(
                "least_agreement and greatest_opposed must lie in 0..1 and greatest_factor be at least 1, got "
                f"{self.least_agreement}, {self.greatest_opposed} and {self.greatest_factor}."
            )
        if min(self.least_windows, self.least_commands, self.first_episodes) < 1:
            raise ValueError(
                "least_windows, least_commands and first_episodes must be at least 1, got "
                f"{self.least_windows}, {self.least_commands} and {self.first_episodes}."
            )

    def judge(self, evidence: Evidence, body: Embodiment, command_m: float | None) -> None:
        """Refuse ``evidence`` that contradicts what ``body`` states.

        Args:
            evidence: Of the demonstrations read so far.
            body: Their embodiment.
            command_m: Metres that the segmenter takes a unit of translational action for, or None.

        Raises:
            ValueError: In a sentence with the figures measured and what to change.
        """
        faults = [
            *self._motion(evidence.motion, body, command_m),
            *self._gripper(evidence.gripper, body, evidence.episodes),
        ]
        if faults:
            raise ValueError(
                f"The data are not as embodiment {body.name} says, by {evidence.episodes} demonstrations: "
                f"{'; and '.join(faults)} (data_check: null builds all the same)."
            )

    def _motion(self, seen: MotionEvidence, body: Embodiment, command_m: float | None) -> Iterator[str]:
        if seen.windows < self.least_windows:
            return
        if seen.way > FASTEST_M_S * seen.seconds:
            yield (
                f"the hand goes at {seen.way / seen.seconds:.3g} m/s on average, so that "
                f"{_named(body.proprioception, body.position)} are not metres or not a position: state what is"
            )
            return
        as_targets = seen.as_targets > TARGETS and seen.as_targets > seen.agreement + 0.1
        if body.action_form != "absolute" and as_targets:
            yield (
                f"{_named(body.actions, body.translation)} are not increments but absolute targets, for the way of "
                f"the hand agrees with their change at {seen.as_targets:.2f} and with their sum at "
                f"{seen.agreement:.2f} (1 is full agreement): have the reader turn them into increments (its deltas), "
                "or state action_form: absolute"
            )
        elif body.action_form != "absolute":
            yield from self._increments(seen, body, command_m)

    def _increments(self, seen: MotionEvidence, body: Embodiment, command_m: float | None) -> Iterator[str]:
        best, order, signs = seen.best_fit()
        turned = any(seen.by_axis[i] < -0.5 and seen.share[i] > LEAST_SHARE for i in range(3))
        if turned or (best > FITTING and best > seen.agreement + 0.3):
            felt, sent = (
                _names(*of) for of in ((body.proprioception, body.position), (body.actions, body.translation))
            )
            pairs = [f"{felt[i]} {'-' if signs[i] < 0 else ''}{sent[order[i]]}" for i in range(3)]
            yield (
                f"the way of the hand along {', '.join(felt)} agrees with the sums of {', '.join(sent)} at "
                f"{seen.agreement:.2f} and best, at {best:.2f}, where each follows another one or its opposite "
                f"({', '.join(pairs)}): mend position and translation, or the signs in the reader"
            )
            return
        if seen.agreement < self.least_agreement:
            axes = ", ".join(f"{axis} {value:.2f}" for axis, value in zip(AXES, seen.by_axis, strict=True))
            yield (
                f"the hand does not go where {_named(body.actions, body.translation)} send it, with an agreement of "
                f"{seen.agreement:.2f} ({axes}) where 1 is full and {self.least_agreement:g} is asked for: mend "
                "position and translation, and see that both are in the frame of the base"
            )
        elif command_m is not None and not 1 / self.greatest_factor < seen.unit / command_m < self.greatest_factor:
            yield (
                f"a unit of {_named(body.actions, body.translation)} moves the hand by {seen.unit:.2g} m, and the "
                f"segmenter's command_m is {command_m:g}: set command_m: {seen.unit:.2g}"
            )

    def _gripper(self, seen: GripperEvidence, body: Embodiment, episodes: int) -> Iterator[str]:
        # Relative commands keep the gripper in all that is carried; a gripper may also stick now and then.
        keeping = max(self.least_commands, episodes / 2)
        if seen.readings_outside > OUTSIDE * seen.steps:
            yield (
                f"{_named(body.proprioception, body.gripper)} lies far outside gripper_open {body.gripper_open:g} and "
                f"gripper_closed {body.gripper_closed:g} in {seen.readings_outside} of {seen.steps} steps, from "
                f"{_reading(body, seen.opening[0]):.3g} to {_reading(body, seen.opening[1]):.3g}: state the two "
                "readings at which it is fully open and fully closed"
            )
        if seen.commands_outside > OUTSIDE * seen.steps:
            yield (
                f"{_named(body.actions, body.gripper_action)} lies far outside gripper_action_open "
                f"{body.gripper_action_open:g} and gripper_action_closed {body.gripper_action_closed:g} in "
                f"{seen.commands_outside} of {seen.steps} steps, {_from_to(seen.outside)}: state the two commands that "
                "open and close it fully, and as gripper_action_keep the one that leaves it as it is, if there is one"
            )
        elif seen.kept >= keeping and seen.kept > 2 * seen.released:
            yield (
                f"{_named(body.actions, body.gripper_action)} leaves the gripper closed in {seen.kept} of "
                f"{seen.kept + seen.released} cases in which a command to close ends, {_from_to(seen.resting)}: state "
                "that command as gripper_action_keep if it leaves the gripper as it is"
            )
        else:
            yield from self._answers(seen, body)

    def _answers(self, seen: GripperEvidence, body: Embodiment) -> Iterator[str]:
        told = seen.followed + seen.opposed
        if seen.opposed >= self.least_commands and seen.opposed > self.greatest_opposed * told:
            yield (
                f"{_named(body.proprioception, body.gripper)} does the opposite of what "
                f"{_named(body.actions, body.gripper_action)} tells it in {seen.opposed} of {told} cases: swap "
                "gripper_action_open and gripper_action_closed, or gripper_open and gripper_closed"
            )
        elif seen.full >= 2 * self.least_commands and seen.opening[1] < NEVER_OPEN:
            yield (
                f"{_named(body.proprioception, body.gripper)} never exceeds "
                f"{max(seen.opening[1], 0.0):.0%} of its stroke, reaching "
                f"{_reading(body, seen.opening[0]):.3g} to {_reading(body, seen.opening[1]):.3g}, though it is told to "
                f"open and to close {seen.full} times: state the readings at which it is open and closed as "
                "gripper_open and gripper_closed"
            )


def _names(names: tuple[str, ...], dims: int | tuple[int, ...] | None) -> list[str]:
    return [names[dim] for dim in ((dims,) if isinstance(dims, int) else dims or ())]


def _named(names: tuple[str, ...], dims: int | tuple[int, ...] | None) -> str:
    return ", ".join(_names(names, dims))


def _reading(body: Embodiment, opening: float) -> float:
    closed, opened = body.gripper_closed or 0.0, body.gripper_open or 0.0
    return closed + opening * (opened - closed)


def _from_to(ends: list[float]) -> str:
    low, high = ends
    return f"by {low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"by {low:.3g} to {high:.3g}"
