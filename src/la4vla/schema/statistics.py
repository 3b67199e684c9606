"""What a normalizer needs to know about one embodiment's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import ViewProfile

FIELDS = ("minimum", "maximum", "mean", "std", "q01", "q99")


@dataclass(frozen=True)
class Statistics:
    """Per-dimension statistics of one array, each of shape ``(dim,)`` float64, over ``count`` rows."""

    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    q01: np.ndarray
    q99: np.ndarray
    count: int

    def to_json(self) -> dict[str, Any]:
        """These statistics as plain JSON values."""
        return {"count": self.count, **{name: getattr(self, name).tolist() for name in FIELDS}}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Statistics:
        """The inverse of :meth:`to_json`."""
        arrays = {name: np.asarray(fields[name], dtype=np.float64) for name in FIELDS}
        return cls(count=int(fields["count"]), **arrays)


@dataclass(frozen=True)
class Domain:
    """A body seen through a camera: everything about data that a policy carries in its checkpoint.

    Args:
        embodiment: Whose numbers these are.
        view: How its images were made, or None where no data with images has been seen.
        proprioception: Statistics over ``S`` dimensions.
        actions: Statistics over ``A`` dimensions.
    """

    embodiment: Embodiment
    view: ViewProfile | None
    proprioception: Statistics
    actions: Statistics

    def to_json(self) -> dict[str, Any]:
        """This domain as plain JSON values."""
        return {
            "embodiment": self.embodiment.to_json(),
            "view": self.view.to_json() if self.view else None,
            "proprioception": self.proprioception.to_json(),
            "actions": self.actions.to_json(),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Domain:
        """The inverse of :meth:`to_json`."""
        return cls(
            embodiment=Embodiment.from_json(fields["embodiment"]),
            view=ViewProfile.from_json(fields["view"]) if fields["view"] else None,
            proprioception=Statistics.from_json(fields["proprioception"]),
            actions=Statistics.from_json(fields["actions"]),
        )
