"""LIBERO's environments as a protocol wants them; small and picklable, so that rollout workers import no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from la4vla.schema.view import ViewProfile
from la4vla.simulators.libero import GripperMeaning, LiberoEnvironment, Placements


@dataclass(frozen=True)
class LiberoWorlds:
    """Builds the environment of a task.

    Args:
        view: How images are made, or None for environments that never render.
        protocol: Whose step limits and settling steps.
        max_steps: Steps after which an episode is over; None takes the protocol's.
        placements: What a seed means, see :class:`LiberoEnvironment`.
        gripper: What the last action means, likewise.
        camera_shifts_m: By task, how far the camera in front of the robot is moved.
    """

    view: ViewProfile | None
    protocol: str = "standard"
    max_steps: int | None = None
    placements: Placements = "official"
    gripper: GripperMeaning = "closing"
    camera_shifts_m: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def __call__(self, task: str) -> LiberoEnvironment:
        """The environment of ``task``."""
        shift = self.camera_shifts_m.get(task, (0.0, 0.0, 0.0))
        return LiberoEnvironment(
            task, self.view, self.protocol, self.max_steps, self.placements, self.gripper, camera_shift_m=shift
        )
