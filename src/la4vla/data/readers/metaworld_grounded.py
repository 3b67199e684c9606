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

# Within this distance of the hand offsets count by centimetres, beyond it by their logarithm: what a policy is about to
# grasp has to be known exactly, what is far away only in its direction.
NEAR_M = 0.03

GROUNDED = replace(
    METAWORLD,
    name="metaworld_grounded",
    proprioception=(*METAWORLD.proprioception, *(f"to_{thing}_{axis}_asinh" for thing in THINGS for axis in "xyz")),
)


class GroundedMetaworld(MetaworldEnvironment):
    """Meta-World for a body that also feels how far objects and goal are from its hand, which no robot does."""

    embodiment: Embodiment = GROUNDED

    def _observe(self, images: dict[str, np.ndarray]) -> Observation:
        observed = super()._observe(images)
        things = self.privileged[np.array(list(THINGS.values()))]
        offsets = np.where(things.any(1, keepdims=True), things - observed.proprioception[:3], 0.0)
        told = np.concatenate([observed.proprioception, np.arcsinh(offsets.ravel() / NEAR_M).astype(np.float32)])
        return replace(observed, proprioception=told, embodiment=GROUNDED.name)


class GroundedMetaworldExperts(MetaworldExperts):
    """Reads demonstrations whose proprioception goes on with where objects and goal are, seen from the hand.

    13 numbers in all: of each offset in metres ``asinh(offset / NEAR_M)``, and zeros for an object that is not there.

    For the alignment of a fresh backbone alone: published vision-language models have learned from boxes and points
    where things are in a picture, and this takes their place. The body has another name, so no policy of Meta-World can
    be trained on these numbers or be given them.
    """

    embodiment: Embodiment = GROUNDED

    def stage(self, task: str, max_steps: int) -> GroundedMetaworld:
        """A simulator of ``task``."""
        return GroundedMetaworld(task, self.view, max_steps)
