"""What a policy takes over from the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from la4vla.models.clamping import MOST_CLAMPED, cuts, told, unbearable
from la4vla.models.heads.base import Head
from la4vla.schema.differences import differences
from la4vla.schema.statistics import Domain, merge_statistics

if TYPE_CHECKING:
    from la4vla.models.policy import Policy


StatisticsOf = Literal["predecessor", "data", "union"]


def inherit(
    policy: Policy,
    predecessor: Policy,
    statistics: StatisticsOf = "predecessor",
    most_clamped: float | None = MOST_CLAMPED,
) -> str:
    """Give ``policy`` the backbone, the head if it fits, and the statistics of ``predecessor``; say which.

    Args:
        policy: Receives them; its domains hold the statistics of its own data.
        predecessor: The policy it begins from.
        statistics: Whose statistics normalise an embodiment that both know. ``predecessor``: a number means to the
            new policy what it meant to the inherited weights, and data beyond its range are clamped. ``data``: nothing
            is clamped, and inherited weights meet the same motion under other numbers, which they have to unlearn.
            ``union``: the range of both, a middle way that moves numbers only as far as the new data go beyond.
        most_clamped: Largest share of the new data's rows that may lie outside of the range in any dimension, estimated
            from their statistics. None leaves this to the caller, who may have the rows to count in.

    Returns:
        One sentence on what was taken and what starts fresh, and one on what is clamped.

    Raises:
        ValueError: If backbones, normalizations, embodiments or views of the two do not fit together, or the statistics
            would cut the new data.
    """
    if type(policy.backbone) is not type(predecessor.backbone):
        raise ValueError(
            f"The predecessor's backbone is {type(predecessor.backbone).__name__}, this recipe's is "
            f"{type(policy.backbone).__name__}: both must be of one class."
        )
    differing = _differing(policy.backbone, predecessor.backbone)
    if differing:
        raise ValueError(
            f"The predecessor's backbone has other sizes ({differing}): give both recipes the same backbone."
        )
    domains, known = _merged(policy, predecessor, statistics)
    clamped = _clamped(policy, domains, most_clamped)
    heads = policy.head, predecessor.head
    same_head = type(heads[0]) is type(heads[1]) and _decisive(heads[0]) == _decisive(heads[1])
    same_head = same_head and not _differing(*heads)
    policy.backbone.load_state_dict(predecessor.backbone.state_dict())
    if same_head:
        policy.head.load_state_dict(predecessor.head.state_dict())
    policy.adopt(domains)
    return _told(policy, same_head, known, statistics) + clamped


def _clamped(policy: Policy, domains: Sequence[Domain], most_clamped: float | None) -> str:
    """A sentence on what the statistics of ``domains`` clamp of the policy's own data, or nothing.

    Raises:
        ValueError: If it is too much; says which dimensions and what to do.
    """
    found = [
        cut
        for used, data in zip(domains, policy.domains, strict=True)
        for cut in cuts(used, data, policy.normalization)
    ]
    if bad := unbearable(found, most_clamped):
        raise ValueError(
            f"The predecessor's statistics would cut the new data: {told(bad)}{_bound(most_clamped)}. Take the "
            "statistics of both (model.statistics=union) or of the new data alone (model.statistics=data), or accept a "
            "larger share with model.most_clamped."
        )
    return f" Clamped: {told(found)}." if found and most_clamped is not None else ""


def _decisive(head: Head) -> list[Any]:
    return [head.arguments.get(name) for name in head.decisive]


def _differing(mine: nn.Module, theirs: nn.Module) -> str:
    """The first tensor that differs in shape or exists on one side only, or an empty string."""
    left, right = mine.state_dict(), theirs.state_dict()
    for name in {**left, **right}:
        if _shape(left.get(name)) != _shape(right.get(name)):
            return f"'{name}': {_shape(right.get(name))} there, {_shape(left.get(name))} here"
    return ""


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)


def _bound(most_clamped: float | None) -> str:
    return "" if most_clamped is None else f" (at most {most_clamped:.0%} may, and none may move that never did)"


def _merged(policy: Policy, predecessor: Policy, statistics: StatisticsOf) -> tuple[list[Domain], list[str]]:
    """The policy's domains with the statistics to use, and the names of those both know."""
    before = {domain.embodiment.name: domain for domain in predecessor.domains}
    known = [domain.embodiment.name for domain in policy.domains if domain.embodiment.name in before]
    if known and policy.normalization != predecessor.normalization:
        raise ValueError(
            f"The predecessor normalises by {predecessor.normalization}, this recipe by {policy.normalization}: "
            "numbers would change their meaning; choose the same."
        )
    merged = [
        _merge(domain, before[domain.embodiment.name], statistics) if domain.embodiment.name in before else domain
        for domain in policy.domains
    ]
    return merged, known


def _merge(domain: Domain, before: Domain, statistics: StatisticsOf) -> Domain:
    name = domain.embodiment.name
    if domain.embodiment != before.embodiment:
        raise ValueError(
            f"The predecessor knows another '{name}' ({differences(before.embodiment, domain.embodiment)}): rename one "
            "of them, or build the data with the predecessor's embodiment."
        )
    if domain.view and before.view and domain.view != before.view:
        raise ValueError(
            f"The predecessor saw '{name}' on view '{before.view.name}', this data shows view '{domain.view.name}' "
            f"({differences(before.view, domain.view)}): build the data on the predecessor's view."
        )
    view = domain.view or before.view
    if statistics == "data":
        return replace(domain, view=view)
    if statistics == "predecessor":
        return replace(before, view=view)
    proprioception = merge_statistics([before.proprioception, domain.proprioception])
    return Domain(domain.embodiment, view, proprioception, merge_statistics([before.actions, domain.actions]))


def _told(policy: Policy, same_head: bool, known: list[str], statistics: StatisticsOf) -> str:
    if statistics == "data":
        known = []
    fresh = [domain.embodiment.name for domain in policy.domains if domain.embodiment.name not in known]
    whose = "statistics" if statistics == "predecessor" else "statistics, with those of the data,"
    taken = ["backbone", *(["head"] if same_head else []), *(f"{whose} of {name}" for name in known)]
    starting = [*([] if same_head else ["head"]), *(f"statistics of {name}" for name in fresh)]
    return f"Inherited: {', '.join(taken)}. Fresh: {', '.join(starting) or 'nothing'}."
