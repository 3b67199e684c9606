"""Disturbances of what a policy sees and is told, each at several levels.

What is random follows from the episode's seed and the step alone, so every policy meets the very same disturbance.
"""

from __future__ import annotations

import hashlib
from abc import ABC
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from PIL import Image, ImageFilter


class Perturbation(ABC):
    """One kind of disturbance; a subclass overrides what it disturbs.

    Args:
        levels: Strengths at which a policy is evaluated, in the class's ``unit``; 0 would disturb nothing. None takes
            the class's ``usual`` ones.

    Attributes:
        name: Name in tables and folders.
        unit: What a level measures.
        usual: Levels from slight to severe.
        limit: Largest level that means something.

    Raises:
        ValueError: If there is no level, or one that means nothing.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    usual: ClassVar[tuple[float, ...]]
    limit: ClassVar[float] = np.inf

    def __init__(self, levels: Sequence[float] | None = None) -> None:
        self.levels = self.usual if levels is None else tuple(levels)
        if not self.levels or not all(0 < level <= self.limit for level in self.levels):
            raise ValueError(
                f"Levels of {self.name} ({self.unit}) must lie above 0 and at most at {self.limit:g}; got "
                f"{list(self.levels)}."
            )

    def image(
        self, image: np.ndarray, level: float, episode: np.random.Generator, moment: np.random.Generator
    ) -> np.ndarray:
        """``image`` ``(h, w, 3)`` uint8, disturbed; draws from ``episode`` are equal in all steps of an episode."""
        return image

    def instruction(
        self, instruction: str, level: float, episode: np.random.Generator, distractors: Sequence[str]
    ) -> str:
        """``instruction``, or one of the ``distractors``, instructions of other tasks in the same scene."""
        return instruction

    def camera_shift_m(self, task: str, level: float) -> tuple[float, float, float] | None:
        """How far the camera is moved in a task's world, or None for not at all."""
        return None

    @property
    def distracts(self) -> bool:
        """Whether the instruction is disturbed, which takes a task that shares its scene."""
        return False


class Disturbance(NamedTuple):
    """A perturbation at one level."""

    perturbation: Perturbation
    level: float

    @property
    def label(self) -> str:
        """``"gaussian_noise 25"``: its name in tables of outcomes."""
        return f"{self.perturbation.name} {self.level:g}"

    def stream(self, seed: int) -> tuple[int, int]:
        """What the random numbers of an episode are seeded with: equal at all levels, so that only strength differs."""
        return _number(self.perturbation.name), seed


class GaussianNoise(Perturbation):
    """Independent normal noise on every pixel, channel and look, clipped: the protocol of LA4VLA's Table 6.

    Which standard deviations that table used is not known; these cover what a person calls faint to heavy.
    """

    usual = (12, 25, 50, 100)
    name = "gaussian_noise"
    unit = "standard deviation in grey levels of 255"

    def image(
        self, image: np.ndarray, level: float, episode: np.random.Generator, moment: np.random.Generator
    ) -> np.ndarray:
        """``image`` plus ``N(0, level²)``."""
        return _as_pixels(image + moment.normal(scale=level, size=image.shape))


class Brightness(Perturbation):
    """One grey level added to all pixels, lighter in half of the episodes and darker in the others."""

    usual = (0.1, 0.2, 0.4)
    name = "brightness"
    unit = "shift as a fraction of the range"
    limit = 1.0

    def image(
        self, image: np.ndarray, level: float, episode: np.random.Generator, moment: np.random.Generator
    ) -> np.ndarray:
        """``image ± 255 level``."""
        return _as_pixels(image + 255.0 * level * (1 if episode.random() < 0.5 else -1))


class Contrast(Perturbation):
    """Pixels drawn toward middle grey."""

    usual = (0.25, 0.5, 0.75)
    name = "contrast"
    unit = "contrast lost, as a fraction"
    limit = 1.0

    def image(
        self, image: np.ndarray, level: float, episode: np.random.Generator, moment: np.random.Generator
    ) -> np.ndarray:
        """``127.5 + (1 - level)(image - 127.5)``."""
        return _as_pixels(127.5 + (1.0 - level) * (image - 127.5))


class Blur(Perturbation):
    """Gaussian blur, measured by the image's side so that it means the same at every resolution."""

    usual = (0.01, 0.02, 0.04)
    name = "blur"
    unit = "standard deviation as a fraction of the image's height"
    limit = 1.0

    def image(
        self, image: np.ndarray, level: float, episode: np.random.Generator, moment: np.random.Generator
    ) -> np.ndarray:
        """``image`` blurred."""
        return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(level * len(image))))


class Occlusion(Perturbation):
    """A grey square that covers the same place throughout an episode, like dirt on the lens."""

    usual = (0.05, 0.1, 0.2)
    name = "occlusion"
    unit = "covered fraction of the image"
    limit = 1.0

    def image(
        self, image: np.ndarray, level: float, episode: np.random.Generator, moment: np.random.Generator
    ) -> np.ndarray:
        """``image`` with a square of ``level`` of its area set to grey."""
        height, width = image.shape[:2]
        side = level**0.5
        rows, columns = round(side * height), round(side * width)
        top, left = round(episode.random() * (height - rows)), round(episode.random() * (width - columns))
        covered = image.copy()
        covered[top : top + rows, left : left + columns] = 127
        return covered


class CameraShift(Perturbation):
    """The camera moved aside without being turned, in a direction that differs from task to task."""

    usual = (0.02, 0.05, 0.1)
    name = "camera_shift"
    unit = "metres"
    limit = 1.0

    def camera_shift_m(self, task: str, level: float) -> tuple[float, float, float] | None:
        """``level`` metres along a direction drawn uniformly, by the task's name, from all directions."""
        way = np.random.default_rng(_number(task)).normal(size=3)
        x, y, z = (way / np.linalg.norm(way) * level).tolist()
        return x, y, z


class DistractorInstruction(Perturbation):
    """Another task's instruction in the same scene, while success is still the first task's.

    A policy that listens fails, one that acts on what it sees alone does not notice.
    """

    usual = (0.5, 1.0)
    name = "distractor_instruction"
    unit = "fraction of episodes"
    limit = 1.0

    def instruction(
        self, instruction: str, level: float, episode: np.random.Generator, distractors: Sequence[str]
    ) -> str:
        """One of ``distractors``, with probability ``level``."""
        replaced = episode.random() < level
        return distractors[int(episode.integers(len(distractors)))] if replaced else instruction

    @property
    def distracts(self) -> bool:
        """Yes."""
        return True


def _as_pixels(image: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return pixels


def _number(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
