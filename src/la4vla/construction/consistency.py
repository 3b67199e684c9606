"""An automatic check of segments: does the arm do what the instruction says?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from la4vla.schema.episode import Episode, Segment


@dataclass(frozen=True)
class Consistency:
    """Compares the directions an instruction states with the motion and with the commands that begin it.

    It stands in for the paper's human verification where nobody rates segments. An arm that is pushed, or still carried
    by its momentum, moves otherwise than it is commanded; a policy trained blind on such a segment would learn a wrong
    meaning of a direction word.

    Args:
        lead_steps: Steps at the beginning of a segment whose commands are summed; a policy's horizon.
    """

    lead_steps: int = 16

    def objection(self, episode: Episode, segment: Segment) -> str | None:
        """Why a segment must not be kept, or None where its motion and its first commands agree with its words."""
        body = episode.embodiment
        last = min(segment.stop, len(episode) - 1)
        position = episode.proprioception[:, list(body.position)].astype(np.float64)
        moved = position[last] - position[segment.start]
        if any(moved @ body.direction(word) <= 0 for word in segment.directions):
            return "motion disagrees"
        lead = episode.actions[segment.start : min(segment.start + self.lead_steps, segment.stop)]
        commanded = lead[:, list(body.translation)].astype(np.float64).sum(axis=0)
        if any(commanded @ body.direction(word) <= 0 for word in segment.directions):
            return "commands disagree"
        return None
