"""In which fields two descriptions differ, for sentences that say two things do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any


def differences(there: Any, here: Any, most: int = 3) -> str:
    """The compared fields in which two dataclass objects of one class differ, with both values.

    >>> from la4vla.schema.view import Shot
    >>> differences(Shot("front", 240), Shot("front", 480))
    'render_px: 240 there, 480 here'
    """
    one, other = (dict(_leaves(_plain(side), "")) for side in (there, here))
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    listed = [f"{key}: {_value(one.get(key))} there, {_value(other.get(key))} here" for key in keys[:most]]
    return "; ".join(listed) + (f"; and {len(keys) - most} more" if len(keys) > most else "")


def _plain(side: Any) -> Any:
    if not is_dataclass(side) or isinstance(side, type):
        return side
    compared = {field.name for field in fields(side) if field.compare}
    return {name: value for name, value in asdict(side).items() if name in compared}


def _leaves(tree: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        return [
            leaf for name, value in tree.items() for leaf in _leaves(value, f"{path}.{name}" if path else str(name))
        ]
    if isinstance(tree, Sequence) and not isinstance(tree, str) and any(isinstance(item, Mapping) for item in tree):
        return [leaf for number, value in enumerate(tree) for leaf in _leaves(value, f"{path}.{number}")]
    return [(path, tree)]


def _value(value: Any) -> str:
    return "nothing" if value is None else str(list(value) if isinstance(value, tuple) else value)
