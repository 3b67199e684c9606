"""An agent that repeats what was done before: does a world do twice what it did once?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from la4vla.rollout.agent import Slot
from la4vla.schema.observation import Observation


class ReplayAgent:
    """Plays recorded actions back without looking; after the last one it commands zero.

    Args:
        recordings: By task and seed, actions ``(T, A)`` float32.
        replan_every: Steps answered per query.
    """

    looks = False

    def __init__(self, recordings: Mapping[tuple[str, int], np.ndarray], replan_every: int = 25) -> None:
        self.recordings = dict(recordings)
        self.replan_every = replan_every
        digest = hashlib.sha256()
        for episode, actions in sorted(self.recordings.items()):
            digest.update(repr((episode, actions.shape)).encode() + np.ascontiguousarray(actions).tobytes())
        self.identity = f"replay of {digest.hexdigest()[:16]}"

    def act(self, observations: Sequence[Observation], slots: Sequence[Slot]) -> list[np.ndarray]:
        """The next actions of each slot's recording, ``(replan_every, A)``.

        Raises:
            LookupError: If an episode was never recorded.
        """
        return [self._next(slot) for slot in slots]

    def _next(self, slot: Slot) -> np.ndarray:
        if (slot.task, slot.seed) not in self.recordings:
            raise LookupError(
                f"There is no recording of task {slot.task!r}, seed {slot.seed}, among the {len(self.recordings)} to "
                "be replayed; replay on the placements that were demonstrated."
            )
        recording = self.recordings[slot.task, slot.seed]
        begin = slot.query * self.replan_every
        actions = np.zeros((self.replan_every, recording.shape[1]), dtype=np.float32)
        played = recording[begin : begin + self.replan_every]
        actions[: len(played)] = played
        return actions
