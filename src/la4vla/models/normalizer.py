"""Physical units to [-1, 1] and back; its statistics travel inside the policy's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from la4vla.schema.statistics import ROUNDING, Domain, Statistics

Normalization = Literal["bounds", "quantiles", "zscore"]


class Normalizer(nn.Module):
    """Centres and scales every embodiment's numbers, and zero-pads them to a common size.

    ``bounds`` maps [minimum, maximum] to [-1, 1] and clamps; ``quantiles`` does so with [q01, q99]; ``zscore`` maps to
    (x - mean) / std without a clamp. A dimension that never changes becomes 0, and 0 becomes its constant again; one
    that changes too seldom for its quantiles is mapped by its bounds.

    Args:
        domains: One per embodiment.
        proprioception_dim: Size ``S`` to pad proprioception to.
        action_dim: Size ``A`` to pad actions to.
        normalization: Which statistics to use.

    Raises:
        ValueError: If there is no domain, an embodiment comes twice or has more dimensions than there is room for, or
            the normalization has another name.
    """

    proprioception_centre: Tensor
    proprioception_scale: Tensor
    action_centre: Tensor
    action_scale: Tensor
    action_dims: Tensor

    def __init__(
        self, domains: Sequence[Domain], proprioception_dim: int, action_dim: int, normalization: Normalization
    ) -> None:
        super().__init__()
        if normalization not in get_args(Normalization):
            raise ValueError(f"normalization is one of {get_args(Normalization)}, got '{normalization}'.")
        if not domains:
            raise ValueError("A policy needs at least one domain, got none: name a data set it is trained on.")
        self.clamped = normalization != "zscore"
        self.row = {domain.embodiment.name: row for row, domain in enumerate(domains)}
        if len(self.row) < len(domains):
            names = [domain.embodiment.name for domain in domains]
            raise ValueError(f"A policy has one domain per embodiment, got {names}: merge those of the same name.")
        self._register("proprioception", [d.proprioception for d in domains], proprioception_dim, normalization)
        self._register("action", [d.actions for d in domains], action_dim, normalization)
        sizes = torch.tensor([len(d.actions.mean) for d in domains])
        self.register_buffer("action_dims", torch.arange(action_dim) < sizes[:, None], persistent=False)

    def _register(self, name: str, statistics: list[Statistics], dim: int, normalization: Normalization) -> None:
        rows = [_rows(one, normalization) for one in statistics]
        for embodiment, (centre, _) in zip(self.row, rows, strict=True):
            if len(centre) > dim:
                raise ValueError(
                    f"'{embodiment}' has {len(centre)} {name} dimensions and the head has room for {dim}: "
                    f"raise the head's {name}_dim."
                )
        for part, column in (("centre", 0), ("scale", 1)):
            padded = torch.stack([F.pad(row[column], (0, dim - len(row[column]))) for row in rows])
            self.register_buffer(f"{name}_{part}", padded)

    def rows(self, embodiments: Sequence[str]) -> Tensor:
        """``(B,)`` int64: where each embodiment's statistics stand.

        Raises:
            ValueError: If one is unknown.
        """
        unknown = sorted(set(embodiments) - set(self.row))
        if unknown:
            raise ValueError(f"The policy knows the embodiments {sorted(self.row)}, but was given {unknown}.")
        return torch.tensor([self.row[name] for name in embodiments], device=self.action_centre.device)

    def proprioception(self, physical: Tensor, rows: Tensor) -> Tensor:
        """``(B, S')`` physical, ``S'`` at most S, to ``(B, S)`` normalised."""
        return self._rescale(physical, self.proprioception_centre[rows], self.proprioception_scale[rows])

    def actions(self, physical: Tensor, rows: Tensor) -> Tensor:
        """``(B, H, A')`` physical to ``(B, H, A)`` normalised."""
        return self._rescale(physical, self.action_centre[rows, None], self.action_scale[rows, None])

    def action_mask(self, rows: Tensor) -> Tensor:
        """``(B, A)`` bool: True on the dimensions each embodiment has."""
        return self.action_dims[rows]

    def physical_actions(self, normalised: Tensor, rows: Tensor) -> Tensor:
        """The inverse of :meth:`actions`: ``(B, H, A)`` to physical units; padding comes back as 0."""
        return normalised * self.action_scale[rows, None] + self.action_centre[rows, None]

    def _rescale(self, physical: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
        surplus = physical.shape[-1] - centre.shape[-1]
        physical = physical[..., : centre.shape[-1]] if surplus > 0 else F.pad(physical, (0, -surplus))
        normalised = torch.where(scale > 0, (physical - centre) / scale.where(scale > 0, 1.0), 0.0)
        return normalised.clamp(-1, 1) if self.clamped else normalised


def affine(statistics: Statistics, normalization: Normalization) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale per dimension, ``(dim,)`` float64 each; scale 0 where a dimension never changes.

    Whether it changes is decided by its range: a flag that is set in one step of a thousand has equal 1 % and 99 %
    quantiles, or hardly any standard deviation, and still moves. Where the quantiles are equal its range stands for
    them.
    """
    if normalization == "zscore":
        centre, scale = statistics.mean, statistics.std
    else:
        low, high = (
            (statistics.minimum, statistics.maximum) if normalization == "bounds" else (statistics.q01, statistics.q99)
        )
        centre, scale = (low + high) / 2, (high - low) / 2
    flat = scale <= ROUNDING * np.maximum(np.abs(centre), 1e-2)
    seldom = flat & statistics.changing
    middle, reach = (statistics.minimum + statistics.maximum) / 2, (statistics.maximum - statistics.minimum) / 2
    return np.where(seldom, middle, centre), np.where(seldom, reach, np.where(flat, 0.0, scale))


def _rows(statistics: Statistics, normalization: Normalization) -> tuple[Tensor, Tensor]:
    centre, scale = affine(statistics, normalization)
    return torch.from_numpy(centre).float(), torch.from_numpy(scale).float()
