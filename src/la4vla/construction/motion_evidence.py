"""What demonstrations show of how the hand follows its translational commands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

import numpy as np

from la4vla.schema.episode import Episode

WINDOW_S = 0.5  # longer than a controller's lag, shorter than a motion
LEAST_SHARE = 0.25  # of the episode's farthest window; nearer ones say more of noise than of commands
LEAST_M = 0.005


@dataclass(frozen=True, eq=False)
class MotionEvidence:
    """Sums over windows of half a second in which the hand moves; sums of several episodes add up.

    Attributes:
        windows: How many.
        moved: ``(3,)`` squares of the displacement, by axis.
        commanded: ``(3,)`` squares of the sum of commands.
        along: ``(3, 3)`` products of both, an axis of the displacement in each row.
        lengths: Products of the two vectors' lengths.
        changed: Products of the displacement with the change of the command over the window.
        change: Squares of that change.
        way: Way of the hand over all steps, in the unit of the position.
        seconds: Time of all steps.
    """

    windows: int
    moved: np.ndarray
    commanded: np.ndarray
    along: np.ndarray
    lengths: float
    changed: float
    change: float
    way: float
    seconds: float

    @classmethod
    def none(cls) -> MotionEvidence:
        """Of no episode."""
        return cls(0, np.zeros(3), np.zeros(3), np.zeros((3, 3)), 0.0, 0.0, 0.0, 0.0, 0.0)

    @classmethod
    def of(cls, episode: Episode) -> MotionEvidence:
        """Of one episode; none where position or translation are not recorded."""
        body = episode.embodiment
        if body.position is None or body.translation is None or len(episode) < 2:
            return cls.none()
        position, commands = body.position_of(episode.proprioception), body.translation_of(episode.actions)
        way = float(np.linalg.norm(np.diff(position, axis=0), axis=1).sum())
        window = max(2, round(WINDOW_S * body.control_hz))
        starts = np.arange(0, len(episode) - window, max(1, window // 4))
        path = np.concatenate([np.zeros((1, 3)), np.cumsum(commands, axis=0)])
        rows = [array[starts + window] - array[starts] for array in (position, path, commands)]
        lengths = np.linalg.norm(rows[0], axis=1)
        moving = lengths >= max(LEAST_M, LEAST_SHARE * lengths.max(initial=0.0))
        moved, sent, change = (row[moving] for row in rows)
        return cls(
            windows=int(moving.sum()),
            moved=(moved**2).sum(axis=0),
            commanded=(sent**2).sum(axis=0),
            along=moved.T @ sent,
            lengths=float((np.linalg.norm(moved, axis=1) * np.linalg.norm(sent, axis=1)).sum()),
            changed=float((moved * change).sum()),
            change=float((change**2).sum()),
            way=way,
            seconds=(len(episode) - 1) / body.control_hz,
        )

    def __add__(self, other: MotionEvidence) -> MotionEvidence:
        return MotionEvidence(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    @property
    def agreement(self) -> float:
        """Mean cosine between displacement and summed commands: 1 for increments that are followed."""
        return float(np.trace(self.along)) / max(self.lengths, 1e-12)

    @property
    def by_axis(self) -> np.ndarray:
        """``(3,)`` the same for each axis alone."""
        agreement: np.ndarray = np.diag(self.along) / np.sqrt(np.maximum(self.moved * self.commanded, 1e-24))
        return agreement

    def best_fit(self) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        """The greatest agreement that commands have in another order and with other signs, that order and the signs."""
        fits = []
        for order in permutations(range(3)):
            along = self.along[np.arange(3), list(order)]
            signs = tuple(np.where(along < 0, -1, 1).tolist())
            fits.append((float(np.abs(along).sum()) / max(self.lengths, 1e-12), order, signs))
        return max(fits)

    @property
    def share(self) -> np.ndarray:
        """``(3,)`` how much of the motion is along each axis."""
        share: np.ndarray = self.moved / max(float(self.moved.sum()), 1e-12)
        return share

    @property
    def as_targets(self) -> float:
        """The same between displacement and change of the command: near 1 for absolute targets."""
        return self.changed / max(float(np.sqrt(self.moved.sum() * self.change)), 1e-12)

    @property
    def unit(self) -> float:
        """How far the hand goes by one unit of command, in the unit of the position."""
        return float(np.trace(self.along)) / max(float(self.commanded.sum()), 1e-12)

    def to_json(self) -> dict[str, Any]:
        """These sums as plain JSON values."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> MotionEvidence:
        """The inverse of :meth:`to_json`."""
        values: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)
