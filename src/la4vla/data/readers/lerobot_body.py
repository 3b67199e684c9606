"""The embodiment of a LeRobot data set, as far as its metadata names it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from la4vla.data.readers.lerobot_meta import LeRobotMeta
from la4vla.schema.embodiment import Embodiment

# Written by our own export, because the format has no place for units and frames.
OWN = "la4vla.json"
Stroke = tuple[float, float] | None
ADVICE = "State the embodiment in the card (reader.init_args.embodiment)."


def embodiment_of(
    meta: LeRobotMeta, proprioception: Sequence[str], actions: Sequence[str], cameras: Sequence[str], stroke: Stroke
) -> Embodiment:
    """The embodiment that ``meta`` describes: the file an export of ours left, else what the features' names tell.

    Names tell the position and the translation where exactly one dimension each is called x, y and z (also ``eef_x``,
    ``delta_x``, ``x_m``), and the gripper where exactly one is called so. The base frame is taken to be the usual one:
    x forward, y left, z up.

    Args:
        meta: The metadata.
        proprioception: The columns that make up the proprioception.
        actions: The columns that make up the actions.
        cameras: Names of the cameras.
        stroke: Readings of the gripper when fully open and fully closed, which no metadata tells, or None.

    Raises:
        ValueError: If something that matters is not clear; says what, and what the metadata holds.
    """
    own = meta.root / "meta" / OWN
    if own.is_file():
        return Embodiment.from_json(json.loads(own.read_bytes())["embodiment"])
    felt, done = _names(meta, proprioception), _names(meta, actions)
    position = _axes(felt, proprioception, "the end effector's position")
    translation = _axes(done, actions, "translation")
    gripper = _gripper(felt, proprioception)
    if gripper is not None and stroke is None:
        low, high = _range(meta, proprioception, gripper)
        raise ValueError(
            f"{meta.root} has a gripper, {felt[gripper]!r}, whose readings go from {low} to {high}, but does not say "
            "which of them is open: give gripper_open and gripper_closed in the card."
        )
    opened, closed = stroke if stroke is not None and gripper is not None else (None, None)
    return Embodiment(
        name=_slug(str(meta.info.get("robot_type") or meta.root.resolve().name)),
        proprioception=tuple(felt),
        actions=tuple(done),
        cameras=tuple(cameras),
        control_hz=meta.fps,
        position=position,
        translation=translation,
        gripper=gripper,
        gripper_open=opened,
        gripper_closed=closed,
        forward=(1.0, 0.0, 0.0),
        left=(0.0, 1.0, 0.0),
        up=(0.0, 0.0, 1.0),
    )


def _names(meta: LeRobotMeta, columns: Sequence[str]) -> list[str]:
    found: list[str] = []
    for column in columns:
        feature = meta.features[column]
        width, names = feature["shape"][0], _flat(feature.get("names"))
        if width == 1 and len(names) != 1:
            names = [column.rsplit(".", 1)[-1]]
        if len(names) != width:
            raise ValueError(
                f"{meta.root} does not name the {width} dimensions of {column} (names: {feature.get('names')}). "
                f"{ADVICE}"
            )
        found += names
    return found


def _flat(names: Any) -> list[str]:
    """Names as a list; some data sets wrap them, as in ``{"motors": [...]}``."""
    if isinstance(names, Mapping):
        return [name for part in names.values() for name in _flat(part)]
    return [str(name) for name in names] if isinstance(names, list) else []


def _axes(names: Sequence[str], columns: Sequence[str], what: str) -> tuple[int, int, int]:
    axes = [[i for i, name in enumerate(names) if _words(name) & {axis, f"d{axis}"}] for axis in "xyz"]
    if any(len(found) != 1 for found in axes):
        raise ValueError(
            f"Which dimensions of {' + '.join(columns)} hold {what} along x, y and z is not clear from the names "
            f"{', '.join(names)}. {ADVICE}"
        )
    x, y, z = (found[0] for found in axes)
    return x, y, z


def _gripper(names: Sequence[str], columns: Sequence[str]) -> int | None:
    found = [i for i, name in enumerate(names) if "gripper" in name.lower()]
    if len(found) > 1:
        several = ", ".join(names[i] for i in found)
        raise ValueError(f"{' + '.join(columns)} has several dimensions of a gripper ({several}). {ADVICE}")
    return found[0] if found else None


def _range(meta: LeRobotMeta, columns: Sequence[str], dimension: int) -> tuple[float | str, float | str]:
    """Least and greatest value of one dimension of the joined columns, where the statistics tell them."""
    low = [value for column in columns for value in meta.stats.get(column, {}).get("min", [])]
    high = [value for column in columns for value in meta.stats.get(column, {}).get("max", [])]
    return (low[dimension], high[dimension]) if dimension < min(len(low), len(high)) else ("?", "?")


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "robot"
