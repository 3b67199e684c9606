"""Does the policy follow the direction it is told, whatever else it is shown? (sections 3 and 5.7 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest

from la4vla.data.shards import Shards
from la4vla.diagnostics.cases import DirectionCases
from la4vla.diagnostics.direction import (
    aligned,
    direction_consistency_score,
    endpoint_displacement,
    separability_ratio,
    silhouette_score,
)
from la4vla.models.masked_policy import MaskedPolicy
from la4vla.models.policy import Policy
from la4vla.rollout.agent import Actor, Slot
from la4vla.schema.observation import Observation

BATCH = 50


@dataclass(frozen=True)
class Arrangement:
    """Whose proprioception and whose image each case is given; -1 where it is given none.

    Args:
        proprioception: ``(N,)`` records; a case without one is left out of the condition.
        view: ``(N,)`` records, or None where vision is masked in all cases.
    """

    proprioception: np.ndarray
    view: np.ndarray | None = None

    @property
    def possible(self) -> np.ndarray:
        """``(n,)`` indices of the cases that can be arranged so."""
        found = self.proprioception >= 0
        return np.flatnonzero(found if self.view is None else found & (self.view >= 0))


class DirectionFollowing:
    """Direction metrics of a policy on held-out segments, instruction fixed and everything else varied.

    Conditions without vision, on any set: ``masked`` (the case's own proprioception) and
    ``conflicting_proprioception`` (that of a segment moving the opposite way). On a set with frames also ``paired``
    (own image), ``unaligned`` (the image of another segment of the same task) and ``conflicting_view`` (the image of
    a segment moving the opposite way).

    The endpoint displacement of a chunk is summed over the steps the case's own segment still has, at most the horizon:
    what follows a segment's end is padding in training and carries no loss, so what a policy predicts there is
    arbitrary. The paper sums over the whole horizon; these values are given as ``full_horizon_...``.

    Args:
        shards: Folder of a held-out set of segments.
        cases: Cases per condition.
        seed: Of the choice of cases, of their opposites, and of the policy's draws.
    """

    name = "direction_following"

    def __init__(self, shards: str | Shards, cases: int = 100, seed: int = 0) -> None:
        self.shards = shards if isinstance(shards, Shards) else Shards(shards)
        self.seed = seed
        self.cases = DirectionCases(self.shards, cases, seed)
        self.arrangements = self._arrange()

    def run(self, policy: Actor) -> dict[str, dict[str, float]]:
        """By condition: ``cases`` and the metrics; under ``demonstrated`` those of the demonstrations themselves.

        Metrics are ``directional_alignment_rate`` with its 95 % Wilson interval ``..._low`` and ``..._high``,
        ``direction_consistency_score``, ``separability_ratio``, ``silhouette_score``, and the first two as
        ``full_horizon_...``. The separations are left out where a condition has too few cases to tell directions apart.

        Raises:
            ValueError: If no case at all can be arranged for a condition, or a chunk is not finite.
        """
        results: dict[str, dict[str, float]] = {}
        for condition, arrangement in self.arrangements.items():
            possible = arrangement.possible
            if not len(possible):
                raise ValueError(
                    f"No case of {self.shards.folder} can be arranged for the condition {condition!r}: no segment "
                    "there moves the opposite way of another, or shows the same task. Take a larger set."
                )
            chunks = self._predict(policy, condition, arrangement, possible)
            results[condition] = self._measure(chunks, possible)
            if "demonstrated" not in results:
                results["demonstrated"] = self._measure(self._demonstrated(chunks.shape[1]), np.arange(len(self.cases)))
        return results

    def _arrange(self) -> dict[str, Arrangement]:
        own = self.cases.records
        opposite = self.cases.opposites(self.seed)
        arrangements = {"masked": Arrangement(own), "conflicting_proprioception": Arrangement(opposite)}
        if len(self.shards.frame_steps):
            stranger = self.cases.strangers(self.seed)
            arrangements["paired"] = Arrangement(own, own)
            arrangements["unaligned"] = Arrangement(own, stranger)
            arrangements["conflicting_view"] = Arrangement(own, opposite)
        return arrangements

    def _predict(self, policy: Actor, condition: str, arrangement: Arrangement, possible: np.ndarray) -> torch.Tensor:
        """``(n, H, A)`` chunks in physical units; a case draws alike in every condition."""
        actor = MaskedPolicy(policy) if arrangement.view is None and isinstance(policy, Policy) else policy
        predicted: list[np.ndarray] = []
        for start in range(0, len(possible), BATCH):
            batch = possible[start : start + BATCH].tolist()
            observations = [self._observation(case, arrangement) for case in batch]
            draws = [Slot(self.shards.records[self.cases.records[case]].key, self.seed, 0).draw for case in batch]
            predicted += [chunk.actions for chunk in actor.act(observations, draws)]
        chunks = np.stack(predicted)
        if bad := int((~np.isfinite(chunks)).any(axis=(1, 2)).sum()):
            raise ValueError(
                f"The policy answered chunks that are not finite in {bad} of {len(chunks)} cases of condition "
                f"{condition!r}. Check the checkpoint's weights and its statistics."
            )
        return torch.from_numpy(chunks)

    def _observation(self, case: int, arrangement: Arrangement) -> Observation:
        domain = self.shards.manifest.domain
        record = arrangement.proprioception[case : case + 1]
        view = -1 if arrangement.view is None else int(arrangement.view[case])
        images = {camera: self.shards.image(view, camera, 0) for camera in self.shards.cameras} if view >= 0 else {}
        return Observation(
            proprioception=self.shards.proprioception[self.cases.start_rows(record)[0]],
            instruction=self.shards.records[self.cases.records[case]].instruction,
            embodiment=domain.embodiment.name,
            images=images,
            view=domain.view.name if images and domain.view else None,
        )

    def _demonstrated(self, horizon: int) -> torch.Tensor:
        """``(N, H, A)``: the cases' own actions; beyond a segment's end they are zero."""
        steps = self.cases.rows[:, None] + np.arange(horizon)
        inside = steps < (self.cases.rows + self.cases.lengths)[:, None]
        actions = self.shards.actions[np.minimum(steps, len(self.shards.actions) - 1)]
        return torch.from_numpy(np.where(inside[..., None], actions, np.float32(0)))

    def _measure(self, chunks: torch.Tensor, possible: np.ndarray) -> dict[str, float]:
        translation = self.cases.translation
        lengths = torch.from_numpy(self.cases.lengths[possible])
        canonical = torch.from_numpy(self.cases.canonical[possible]).float()
        labels = torch.from_numpy(self.cases.labels[possible])
        truth = endpoint_displacement(self._demonstrated(chunks.shape[1])[possible], translation)
        predicted = endpoint_displacement(chunks, translation, lengths)
        whole = endpoint_displacement(chunks, translation)
        right = aligned(predicted, canonical)
        interval = binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="wilson")
        measured = {
            "cases": float(len(possible)),
            "directional_alignment_rate": float(right.double().mean()),
            "directional_alignment_rate_low": float(interval.low),
            "directional_alignment_rate_high": float(interval.high),
            "direction_consistency_score": float(direction_consistency_score(predicted, truth)),
            "full_horizon_directional_alignment_rate": float(aligned(whole, canonical).double().mean()),
            "full_horizon_direction_consistency_score": float(direction_consistency_score(whole, truth)),
        }
        if 1 < len(torch.unique(labels)) < len(labels):
            measured["separability_ratio"] = float(separability_ratio(predicted, labels))
            measured["silhouette_score"] = float(silhouette_score(predicted, labels))
        return measured
