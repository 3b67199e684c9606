"""Demonstrations and the atomic segments inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.primitives import Primitive


@dataclass(frozen=True)
class Episode:
    """One demonstration, whatever its source.

    Args:
        key: Unique name inside its data set, usable as a file name (no dot, no slash).
        task: Slug of the task (``"drawer-open"``).
        instruction: What the demonstrator was asked to do.
        embodiment: Whose numbers these are.
        proprioception: ``(T, S)`` float32, before the action of the same row.
        actions: ``(T, A)`` float32.
        frames: By camera, a lazy sequence of ``(h, w, 3)`` uint8 RGB images. Row ``i`` shows step ``frame_steps[i]``.
        frame_steps: ``(F,)`` ascending steps that have frames; the same for every camera.
        privileged: ``(T, P)`` float32 simulator state beside the frames, for analysis; a policy never sees it.
    """

    key: str
    task: str
    instruction: str
    embodiment: Embodiment
    proprioception: np.ndarray
    actions: np.ndarray
    frames: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    frame_steps: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    privileged: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class Segment:
    """One atomic action inside an episode: steps ``start`` (included) to ``stop`` (excluded).

    Args:
        start: First step.
        stop: One past the last step.
        primitive: The dominant atomic action.
        instruction: Vision-agnostic instruction: action type, direction, object status.
        directions: Base-frame direction words the instruction commands, dominant first; may be empty.
        quality: Mean human rating from 0 (unusable) to 3 (high), or None where nobody rated it.
        proposed: Step at which it was first proposed to begin, its name in the episode; None where that is ``start``.
    """

    start: int
    stop: int
    primitive: Primitive
    instruction: str
    directions: tuple[str, ...] = ()
    quality: float | None = None
    proposed: int | None = None

    def __len__(self) -> int:
        return self.stop - self.start
