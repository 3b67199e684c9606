"""Tables of tensor names, read in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Rule(NamedTuple):
    """One row of a table: a published tensor and the tensors of a policy that it holds.

    In names ``*`` stands for one part between dots and ``**`` for all that remain; both sides have them in one order.

    Attributes:
        theirs: Published name.
        ours: Names in a policy's state dict, each with its share of the published tensor's rows.
        leading: Whether the published tensor has an axis of size 1 in front.
    """

    theirs: str
    ours: tuple[tuple[str, int], ...]
    leading: bool = False


def rules(table: Mapping[str, str | tuple[str, ...] | dict[str, int]], theirs: str, ours: str) -> tuple[Rule, ...]:
    """Rules from a literal table, with a prefix for each side.

    A string names one tensor, a tuple equal parts, a dict parts and their shares.
    """
    rows = []
    for name, target in table.items():
        shares = {target: 1} if isinstance(target, str) else target
        shares = shares if isinstance(shares, dict) else dict.fromkeys(shares, 1)
        rows.append(Rule(theirs + name, tuple((ours + part, share) for part, share in shares.items())))
    return tuple(rows)


def to_ours(tensors: Mapping[str, Tensor], rules: Sequence[Rule], source: object) -> dict[str, Tensor]:
    """Published ``tensors`` under the names of a policy's state dict; fused ones are split, nothing is copied.

    Raises:
        ValueError: If a name is in no rule, or a tensor cannot be split as its rule says.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        rule, parts = _rule(name, rules, source)
        tensor = tensor[0] if rule.leading and tensor.ndim and len(tensor) == 1 else tensor
        shares = [share for _, share in rule.ours]
        if len(shares) > 1 and (tensor.ndim == 0 or len(tensor) % sum(shares) or not len(tensor)):
            raise ValueError(
                f"{source} holds '{name}' of shape {tuple(tensor.shape)}: its rows do not split "
                f"as {':'.join(map(str, shares))}."
            )
        unit = len(tensor) // sum(shares) if len(shares) > 1 else 0
        pieces = torch.split(tensor, [unit * share for share in shares]) if unit else (tensor,)
        found.update(zip(parts, pieces, strict=True))
    return found


def to_theirs(tensors: Mapping[str, Tensor], rules: Sequence[Rule]) -> dict[str, Tensor]:
    """The inverse of :func:`to_ours`.

    Raises:
        ValueError: If a tensor of the policy has no published name.
    """
    found: dict[str, Tensor] = {}
    for name in tensors:
        rule, theirs, parts = _published(name, rules)
        if theirs not in found:
            pieces = [tensors[part] for part in parts]
            whole = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
            found[theirs] = whole[None] if rule.leading else whole
    return found


def published_name(name: str, rules: Sequence[Rule]) -> str:
    """What the published layout calls the tensor that holds ``name``."""
    return _published(name, rules)[1]


def _rule(name: str, rules: Sequence[Rule], source: object) -> tuple[Rule, list[str]]:
    for rule in rules:
        if match := _pattern(rule.theirs).fullmatch(name):
            return rule, [_filled(part, match.groups()) for part, _ in rule.ours]
    raise ValueError(f"{source} holds '{name}', which no policy of this architecture has.")


def _published(name: str, rules: Sequence[Rule]) -> tuple[Rule, str, list[str]]:
    for rule, part in _parts(rules):
        if match := _pattern(part).fullmatch(name):
            filled = [_filled(other, match.groups()) for other, _ in rule.ours]
            return rule, _filled(rule.theirs, match.groups()), filled
    raise ValueError(f"The policy's tensor '{name}' has no name in this layout: only InternVL3 policies convert to it.")


def _parts(rules: Sequence[Rule]) -> Iterator[tuple[Rule, str]]:
    return ((rule, part) for rule in rules for part, _ in rule.ours)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\*\*", "(.+)").replace(r"\*", r"([^.]+)"))


def _filled(name: str, groups: Sequence[str]) -> str:
    values = iter(groups)
    return re.sub(r"\*+", lambda _: next(values), name)
