"""The measures of :mod:`la4vla.diagnostics.direction` as torchmetrics, for logging and reduction over processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from la4vla.diagnostics.direction import aligned, consistencies, separability_ratio, silhouette_score


class _TrialMean(Metric):
    """Mean of one number per trial."""

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.total: Tensor
        self.trials: Tensor
        self.add_state("total", default=torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("trials", default=torch.tensor(0), dist_reduce_fx="sum")

    def _count(self, values: Tensor) -> None:
        self.total += values.double().sum()
        self.trials += values.numel()

    def compute(self) -> Tensor:
        """The mean over all trials."""
        return self.total / self.trials


class DirectionalAlignmentRate(_TrialMean):
    """See :func:`~la4vla.diagnostics.direction.directional_alignment_rate`."""

    def update(self, predicted: Tensor, canonical: Tensor) -> None:
        """Count trials: displacements ``(N, 3)`` and commanded unit vectors ``(N, 3)``."""
        self._count(aligned(predicted, canonical))


class DirectionConsistencyScore(_TrialMean):
    """See :func:`~la4vla.diagnostics.direction.direction_consistency_score`."""

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Count trials: predicted and demonstrated displacements ``(N, 3)``."""
        self._count(consistencies(predicted, truth))


class _Clustering(Metric):
    """Keeps all trials, as distances between them are wanted."""

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.predicted: list[Tensor]
        self.labels: list[Tensor]
        self.add_state("predicted", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add trials: displacements ``(N, 3)`` and labels of their directions ``(N,)``."""
        self.predicted.append(predicted)
        self.labels.append(labels)


class SeparabilityRatio(_Clustering):
    """See :func:`~la4vla.diagnostics.direction.separability_ratio`."""

    def compute(self) -> Tensor:
        """The ratio over all trials."""
        return separability_ratio(dim_zero_cat(self.predicted), dim_zero_cat(self.labels))


class SilhouetteScore(_Clustering):
    """See :func:`~la4vla.diagnostics.direction.silhouette_score`."""

    def compute(self) -> Tensor:
        """The score over all trials."""
        return silhouette_score(dim_zero_cat(self.predicted), dim_zero_cat(self.labels))
