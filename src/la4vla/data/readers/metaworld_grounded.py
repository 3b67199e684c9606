"""Demonstrations of Meta-World's scripted experts that also tell where things are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation
from la4vla.simulators.metaworld import METAWORLD, MetaworldEnvironment

# Where these stand among the simulator's 39 numbers; a task without a second object has zeros there.
THINGS = {"object": (4, 5, 6), "second_object": (11, 12, 13), "goal": (36, 37, 38)}

GROUNDED = replace(
    METAWORLD,
    name="metaworld_grounded",
    proprioception=(*METAWORLD.proprioception, *(f"{thing}_{axis}_m" for thing in THINGS for axis in "xyz")),
)


class GroundedMetaworld(MetaworldEnvironment):
    """Meta-World for a body that also feels where the objects and the goal are, which no robot does."""

    embodiment: Embodiment = GROUNDED

    def _observe(self, images: dict[str, np.ndarray]) -> Observation:
        observed = super()._observe(images)
        things = self.privileged[[place for places in THINGS.values() for place in places]].astype(np.float32)
        told = np.concatenate([observed.proprioception, things])
        return replace(observed, proprioception=told, embodiment=GROUNDED.name)


class GroundedMetaworldExperts(MetaworldExperts):
    """Reads demonstrations whose proprioception goes on with the positions of objects and goal, 13 numbers in all.

    For the alignment of a fresh backbone alone: published vision-language models have learned from boxes and points
    where things are in a picture, and this takes their place. The body has another name, so no policy of Meta-World can
    be trained on these numbers or be given them.
    """

    embodiment: Embodiment = GROUNDED

    def stage(self, task: str, max_steps: int) -> GroundedMetaworld:
        """A simulator of ``task``."""
        return GroundedMetaworld(task, self.view, max_steps)
