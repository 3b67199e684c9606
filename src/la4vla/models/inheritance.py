"""What a policy takes over from the one before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from la4vla.models.heads.base import Head
from la4vla.schema.statistics import Domain

if TYPE_CHECKING:
    from la4vla.models.policy import Policy


def inherit(policy: Policy, predecessor: Policy) -> str:
    """Gives ``policy`` the backbone, the head if it fits, and the statistics of ``predecessor``; says which.

    Where both know an embodiment, the predecessor's statistics stay, so that a number means to the new policy what it
    meant to the weights it starts from.

    Returns:
        One sentence on what was taken and what starts fresh.

    Raises:
        ValueError: If backbones, normalizations, embodiments or views of the two do not fit together.
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
    domains, known = _merged(policy, predecessor)
    heads = policy.head, predecessor.head
    same_head = type(heads[0]) is type(heads[1]) and _decisive(heads[0]) == _decisive(heads[1])
    same_head = same_head and not _differing(*heads)
    policy.backbone.load_state_dict(predecessor.backbone.state_dict())
    if same_head:
        policy.head.load_state_dict(predecessor.head.state_dict())
    policy.adopt(domains)
    return _told(policy, same_head, known)


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


def _merged(policy: Policy, predecessor: Policy) -> tuple[list[Domain], list[str]]:
    """The policy's domains with the predecessor's statistics, and the names of those both know."""
    before = {domain.embodiment.name: domain for domain in predecessor.domains}
    known = [domain.embodiment.name for domain in policy.domains if domain.embodiment.name in before]
    if known and policy.normalization != predecessor.normalization:
        raise ValueError(
            f"The predecessor normalises by {predecessor.normalization}, this recipe by {policy.normalization}: "
            "numbers would change their meaning; choose the same."
        )
    merged = [
        _merge(domain, before[domain.embodiment.name]) if domain.embodiment.name in before else domain
        for domain in policy.domains
    ]
    return merged, known


def _merge(domain: Domain, before: Domain) -> Domain:
    name = domain.embodiment.name
    if domain.embodiment != before.embodiment:
        raise ValueError(
            f"The predecessor knows another '{name}', with other numbers or conventions: rename one of them."
        )
    if domain.view and before.view and domain.view != before.view:
        raise ValueError(
            f"The predecessor saw '{name}' on view '{before.view.name}', this data shows view '{domain.view.name}': "
            "build the data on the predecessor's view."
        )
    return replace(before, view=domain.view or before.view)


def _told(policy: Policy, same_head: bool, known: list[str]) -> str:
    fresh = [domain.embodiment.name for domain in policy.domains if domain.embodiment.name not in known]
    taken = ["backbone", *(["head"] if same_head else []), *(f"statistics of {name}" for name in known)]
    starting = [*([] if same_head else ["head"]), *(f"statistics of {name}" for name in fresh)]
    return f"Inherited: {', '.join(taken)}. Fresh: {', '.join(starting) or 'nothing'}."
