"""Paths in the robot's base frame: where they bend, and the words for where they lead."""

from __future__ import annotations

import numpy as np

from la4vla.schema.embodiment import Embodiment

AXES = (("forward", "backward"), ("left", "right"), ("upward", "downward"))


def simplify(path: np.ndarray, tolerance: float) -> list[int]:
    """Indices of the points of ``path``, ``(n, 3)``, that Ramer-Douglas-Peucker keeps, both ends included.

    Distances are to the chord as a segment, not as a line, so that going there and back is a bend.
    """
    chord = path[-1] - path[0]
    along = np.clip((path - path[0]) @ chord / max(float(chord @ chord), 1e-12), 0.0, 1.0)
    distance = np.linalg.norm(path - path[0] - along[:, None] * chord, axis=1)
    farthest = int(distance.argmax())
    if distance[farthest] <= tolerance:
        return [0, len(path) - 1]
    before, after = simplify(path[: farthest + 1], tolerance), simplify(path[farthest:], tolerance)
    return before[:-1] + [farthest + index for index in after]


def directions_of(displacement: np.ndarray, body: Embodiment, secondary_ratio: float) -> tuple[str, ...]:
    """The one or two base-frame direction words of a displacement ``(3,)``, the dominant one first.

    The second axis is named where its share is at least ``secondary_ratio`` of the dominant one's.
    """
    along = [(float(displacement @ body.direction(positive)), positive, negative) for positive, negative in AXES]
    along.sort(key=lambda axis: -abs(axis[0]))
    words = [positive if length > 0 else negative for length, positive, negative in along]
    return tuple(words[:2]) if abs(along[1][0]) >= secondary_ratio * abs(along[0][0]) else (words[0],)
