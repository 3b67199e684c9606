"""An automatic check of segments: does the arm do what the instruction says?"""

from __future__ import annotations

from dataclasses import dataclass

from la4vla.construction.durations import check_times, steps_of
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.episode import Episode, Segment

LEAST_STEPS = 3  # one command says little of where a segment begins to go


@dataclass(frozen=True)
class Consistency:
    """Compares the directions an instruction states with the motion and with the commands that begin it.

    It stands in for the paper's human verification where nobody rates segments. An arm that is pushed, or still carried
    by its momentum, moves otherwise than it is commanded; a policy trained blind on such a segment would learn a wrong
    meaning of a direction word.

    Args:
        lead_s: Seconds at the beginning of a segment whose commands are summed; a policy's horizon.

    Raises:
        ValueError: If it is negative.
    """

    lead_s: float = 0.2

    def __post_init__(self) -> None:
        check_times(lead_s=self.lead_s)

    def check(self, body: Embodiment) -> None:
        """Refuse a body whose motion cannot be held against words.

        Raises:
            ValueError: In a sentence that names what is missing.
        """
        body.require(
            "The consistency check (leave it out with consistency: null)",
            *("position", "translation", "forward", "left", "up"),
        )
        refuse_absolute("The consistency check (leave it out with consistency: null)", body)

    def objection(self, episode: Episode, segment: Segment) -> str | None:
        """Why a segment must not be kept, or None where its motion and its first commands agree with its words."""
        body = episode.embodiment
        last = min(segment.stop, len(episode) - 1)
        position = body.position_of(episode.proprioception)
        moved = position[last] - position[segment.start]
        if any(moved @ body.direction(word) <= 0 for word in segment.directions):
            return "motion disagrees"
        steps = steps_of(self.lead_s, body.control_hz, LEAST_STEPS)
        lead = episode.actions[segment.start : min(segment.start + steps, segment.stop)]
        commanded = body.translation_of(lead).sum(axis=0)
        if any(commanded @ body.direction(word) <= 0 for word in segment.directions):
            return "commands disagree"
        return None


def refuse_absolute(who: str, body: Embodiment) -> None:
    """Refuse actions that are poses to go to: their sums are no ways.

    Args:
        who: Who needs increments, the subject of the sentence.
        body: Whose actions they are.

    Raises:
        ValueError: If ``body`` says so.
    """
    if body.action_form == "absolute":
        raise ValueError(
            f"{who} needs increments as actions, and those of embodiment {body.name} are absolute: have the reader "
            "turn them into increments (its deltas, where it has them)."
        )
