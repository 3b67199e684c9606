"""One moment, in numpy: what an environment yields, an agent answers and the wire carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Observation:
    """What a policy sees at one moment.

    Args:
        proprioception: ``(S,)`` float32 in physical units.
        instruction: What to do.
        embodiment: Name of the embodiment.
        images: By camera, ``(h, w, 3)`` uint8 RGB. Empty where nothing was rendered.
        view: Name of the view profile the images were made with, or None without images.
        privileged: Simulator state for scripted experts and diagnostics; never reaches a policy.
    """

    proprioception: np.ndarray
    instruction: str
    embodiment: str
    images: Mapping[str, np.ndarray]
    view: str | None = None
    privileged: np.ndarray | None = None


@dataclass(frozen=True)
class ActionChunk:
    """A policy's answer: ``actions`` of shape ``(H, A)`` float32, physical units of ``embodiment``."""

    actions: np.ndarray
    embodiment: str


@dataclass(frozen=True)
class Step:
    """What an environment answers to one action.

    Args:
        observation: The moment after the action.
        success: Whether the task is solved now.
        done: Whether the episode is over, solved or not.
        executed: ``(A,)`` the action really executed, after clipping.
    """

    observation: Observation
    success: bool
    done: bool
    executed: np.ndarray
