"""Published statistics as domains, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from la4vla.models.normalizer import Normalization
from la4vla.models.published.contents import Published
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import FIELDS, Domain, Statistics
from la4vla.schema.view import ViewProfile

STATE, ACTION = "observation.state", "action"
NAMES = {"minimum": "min", "maximum": "max", "mean": "mean", "std": "std", "q01": "q01", "q99": "q99"}
NEEDED = {"bounds": ("minimum", "maximum"), "quantiles": ("q01", "q99"), "zscore": ("mean", "std")}
# What LeRobot writes behind the last real dimension.
PADDING = {"minimum": -1.0, "maximum": 1.0, "mean": 0.0, "std": 1.0, "q01": -1.0, "q99": 1.0}
# Width given to a dimension that never changed, relative to its value: enough for float32, nothing to a robot.
SLIVER = 1e-3


def domain_of(
    published: Published, embodiment: Embodiment, view: ViewProfile | None, arm: str | None, dataset: str | None
) -> Domain:
    """The statistics of one arm and data set as the domain of ``embodiment``.

    The official code feeds a proprioception dimension that never changed as -1, this package as 0; such a dimension's
    range is widened upward by a sliver, so that its constant becomes -1 here too.

    Raises:
        ValueError: If the choice is not clear, a statistic is missing, or dimensions and names differ in number.
    """
    normalization, path = published.normalization, published.path
    leaf = _chosen(published.statistics, {"arm": arm, "dataset": dataset}, path)
    state = _statistics(leaf[STATE], embodiment.proprioception, normalization, f"{path}, {STATE}")
    if normalization != "zscore":
        low, high = NEEDED[normalization]
        state = replace(state, **{high: getattr(state, high) + _sliver(state, low, high)})
    actions = _statistics(leaf[ACTION], embodiment.actions, normalization, f"{path}, {ACTION}")
    return Domain(embodiment, view, state, actions)


def _chosen(tree: Mapping[str, Any], choice: Mapping[str, str | None], path: Path) -> Mapping[str, Any]:
    """The statistics of one arm and data set; a level with a single entry needs no choice."""
    node = tree
    for level, given in choice.items():
        if STATE in node or ACTION in node:
            if given is not None:
                raise ValueError(f"The statistics beside {path} are not split by {level}: leave {level}= out.")
            continue
        name = next(iter(node)) if given is None and len(node) == 1 else given
        if name is None or not isinstance(node.get(name), Mapping):
            raise ValueError(f"{level}={given} is not in the statistics beside {path}: choose from {sorted(node)}.")
        node = node[name]
    if not {STATE, ACTION} <= node.keys():
        raise ValueError(f"The statistics beside {path} must have the keys '{STATE}' and '{ACTION}'.")
    return node


def _sliver(statistics: Statistics, low: str, high: str) -> np.ndarray:
    """A small width per dimension where the range from ``low`` to ``high`` is empty, else 0."""
    bottom, top = getattr(statistics, low), getattr(statistics, high)
    size = np.maximum(np.abs(bottom), 1e-2)
    sliver: np.ndarray = np.where(top - bottom <= 1e-5 * size, SLIVER * size, 0.0)
    return sliver


def _statistics(given: Mapping[str, Any], dims: Sequence[str], normalization: Normalization, where: str) -> Statistics:
    arrays = {ours: np.full(len(dims), math.nan) for ours in FIELDS}
    for ours, theirs in NAMES.items():
        if theirs in given:
            arrays[ours] = _cut(np.asarray(given[theirs], dtype=np.float64), ours, len(dims), where)
        elif ours in NEEDED[normalization]:
            raise ValueError(f"{where} lacks '{theirs}', which normalization={normalization} needs.")
    statistics = Statistics(**arrays, count=int(np.ravel(given.get("count", 0))[0]))
    if normalization != "quantiles":
        return statistics
    # Where its quantiles are equal a dimension is constant to a published policy, however far it once went.
    flat = _seldom(statistics)
    return replace(
        statistics,
        minimum=np.where(flat, statistics.q01, statistics.minimum),
        maximum=np.where(flat, statistics.q99, statistics.maximum),
    )


def _seldom(statistics: Statistics) -> np.ndarray:
    """``(dim,)`` bool: dimensions that change, but too seldom for their quantiles to differ."""
    quantiles = replace(statistics, minimum=statistics.q01, maximum=statistics.q99)
    seldom: np.ndarray = statistics.changing & ~quantiles.changing
    return seldom


def _as_used(statistics: Statistics, normalization: Normalization) -> Statistics:
    """``statistics`` with the quantiles that our normalizer uses: the range where a dimension changes too seldom."""
    seldom = _seldom(statistics)
    if normalization != "quantiles" or not seldom.any():
        return statistics
    low, high = ((statistics.minimum, statistics.q01), (statistics.maximum, statistics.q99))
    return replace(statistics, q01=np.where(seldom, *low), q99=np.where(seldom, *high))


def _cut(values: np.ndarray, name: str, dims: int, where: str) -> np.ndarray:
    """``values`` without LeRobot's padding."""
    if values.ndim != 1 or len(values) < dims or not np.all(values[dims:] == PADDING[name]):
        raise ValueError(
            f"{where} has statistics over {values.shape[-1] if values.ndim else 0} dimensions, the embodiment names "
            f"{dims}: describe the robot of this checkpoint."
        )
    return values[:dims]


def to_official(
    domains: Sequence[Domain], normalization: Normalization, arm: str | None, dataset: str
) -> dict[str, Any]:
    """``norm_stats.json`` for ``domains``; what is unknown is left out.

    A proprioception dimension that never changes is 0 here and would be -1 there: its range is widened on both sides.

    Raises:
        ValueError: If one arm is named for several domains.
    """
    if arm is not None and len(domains) > 1:
        raise ValueError(f"This policy has {len(domains)} domains: leave arm= out, each takes its embodiment's name.")
    tree: dict[str, Any] = {}
    for one in domains:
        state, actions = (_as_used(part, normalization) for part in (one.proprioception, one.actions))
        leaf = {STATE: _known(_widened(state, normalization)), ACTION: _known(actions)}
        listed = {key: {NAMES[name]: values.tolist() for name, values in known.items()} for key, known in leaf.items()}
        tree[arm or one.embodiment.name] = {dataset: listed}
    return tree


def to_lerobot(
    domain: Domain, normalization: Normalization, proprioception_dim: int, action_dim: int
) -> dict[str, np.ndarray]:
    """The flat ``feature.statistic`` arrays of LeRobot's normalizer, float32, padded to the head's dimensions."""
    state, actions = (_as_used(part, normalization) for part in (domain.proprioception, domain.actions))
    state, flat = _widened(state, normalization), {}
    for key, statistics, dims in ((STATE, state, proprioception_dim), (ACTION, actions, action_dim)):
        for name, values in _known(statistics).items():
            padded = np.pad(values, (0, dims - len(values)), constant_values=PADDING[name])
            flat[f"{key}.{NAMES[name]}"] = padded.astype(np.float32)
    return flat


def _widened(state: Statistics, normalization: Normalization) -> Statistics:
    """``state`` with a sliver on both sides of every empty range, so that its constant stays 0 there."""
    if normalization == "zscore":
        return state
    low, high = NEEDED[normalization]
    sliver = _sliver(state, low, high)
    return replace(state, **{low: getattr(state, low) - sliver, high: getattr(state, high) + sliver})


def _known(statistics: Statistics) -> dict[str, np.ndarray]:
    arrays = {name: getattr(statistics, name) for name in NAMES}
    return {name: values for name, values in arrays.items() if not np.isnan(values).any()}
