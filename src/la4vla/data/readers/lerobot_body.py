"""The embodiment of a LeRobot data set, as far as its metadata tell it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from la4vla.data.readers.dimension_names import AXES, EULER, QUATERNION, dimension, find
from la4vla.data.readers.lerobot_meta import LeRobotMeta
from la4vla.data.readers.lerobot_ranges import mean_distances, ranges_of
from la4vla.data.readers.stated_facts import StatedFacts
from la4vla.schema.embodiment import ActionForm, Embodiment

# Written by our own export, because the format has no place for units and frames.
OWN = "la4vla.json"
FORMS = {3: "euler_xyz", 4: "quaternion_xyzw"}
SMALL = 0.25  # commands that span less than this share of the positions' range are no poses to go to
NEAR = 0.01  # in the unit of the positions: what is closer than this is at one place
Dims = tuple[int, ...] | None
TURN = 6.3  # no angle in radians is larger


def own_embodiment(meta: LeRobotMeta) -> Embodiment | None:
    """The embodiment in the file that an export of ours left, or None without one.

    Raises:
        ValueError: If the file holds none.
    """
    path = meta.root / "meta" / OWN
    if not path.is_file():
        return None
    try:
        return Embodiment.from_json(json.loads(path.read_bytes())["embodiment"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no embodiment ({error}); export the data set again, or remove it.") from error


def derived_embodiment(
    meta: LeRobotMeta,
    proprioception: Sequence[str],
    actions: Sequence[str],
    cameras: Sequence[str],
    stated: StatedFacts,
) -> Embodiment:
    """What the features' names tell, beneath what is ``stated``; what neither tells is None.

    Names tell position and translation where exactly one dimension each is called x, y and z (also ``eef_x``, ``dx``,
    ``delta_x``, ``x_m``); the orientation where exactly one is called roll, pitch and yaw, in radians, or qx, qy, qz
    and qw; the gripper where exactly one is called so; increments where the translation's names say delta, and poses to
    go to where they do not, unless the statistics contradict. No metadata tell the base frame, nor which end of a
    gripper's range is open.

    Args:
        meta: The metadata.
        proprioception: The columns that make up the proprioception.
        actions: The columns that make up the actions.
        cameras: Names of the cameras.
        stated: What the card states.

    Raises:
        ValueError: If dimensions have no names, or there are several grippers, and nothing is stated of them.
    """
    felt = list(stated.proprioception or names_of(meta, proprioception, "proprioception"))
    done = list(stated.actions or names_of(meta, actions, "actions"))
    position, translation = find(felt, AXES), find(done, AXES)
    orientation = find(felt, QUATERNION) or _in_radians(meta, felt, proprioception)
    told: dict[str, Any] = {
        "position": position,
        "translation": translation,
        "gripper": gripper_of(felt, proprioception) if stated.gripper is None else None,
        "gripper_action": _only(find(done, ("gripper",))),
        "orientation": orientation,
        "orientation_form": FORMS[len(orientation)] if orientation else None,
        "action_form": _form_by_name(done, translation),
    }
    if position and translation and told["action_form"] == "absolute":
        if _elsewhere(meta, actions, translation, proprioception, position):
            told["action_form"] = None
    return Embodiment(
        **{
            "name": _slug(str(meta.info.get("robot_type") or meta.root.resolve().name)),
            "proprioception": tuple(felt),
            "actions": tuple(done),
            "cameras": tuple(cameras),
            "control_hz": meta.fps,
            **told,
            **stated.stated,
        }
    )


def open_facts(meta: LeRobotMeta, body: Embodiment, proprioception: Sequence[str]) -> list[str]:
    """A sentence on what a derived embodiment leaves open, and how to state it; none where it leaves nothing open."""
    facts = ["position", "translation", "action_form", "orientation", "gripper", "gripper_action"]
    facts += ["forward", "left", "up"]
    facts += ["gripper_open", "gripper_closed"] if body.gripper is not None else []
    facts += ["gripper_action_open", "gripper_action_closed"] if body.gripper_action is not None else []
    missing = [fact for fact in facts if getattr(body, fact) is None]
    if not missing:
        return []
    readings = ""
    if "gripper_open" in missing and (ranges := ranges_of(meta, proprioception, (body.gripper or 0,))):
        readings = f" (the gripper's readings go from {ranges[0][0]:g} to {ranges[0][1]:g})"
    return [
        f"What {meta.root} names is all that is known of embodiment {body.name}: {', '.join(missing)} are not "
        f"recorded{readings}. Whoever needs one will refuse; state it in the card, for example with "
        "reader.init_args.facts.up=[0,0,1]."
    ]


def poses_by_name(body: Embodiment) -> list[str]:
    """A sentence on a derived embodiment whose actions are taken for poses to go to; none where they are not."""
    if body.action_form != "absolute" or body.translation is None:
        return []
    names = ", ".join(body.actions[i] for i in body.translation)
    return [
        f"The actions {names} of embodiment {body.name} are taken for poses to go to, as they are called: make "
        "increments of them with reader.init_args.deltas=per_step, or, if they are increments, say so with "
        "reader.init_args.facts.action_form=increment."
    ]


def names_of(meta: LeRobotMeta, columns: Sequence[str], fact: str) -> list[str]:
    """A name for every dimension of the joined columns; raises ValueError where one has none."""
    found: list[str] = []
    for column in columns:
        feature = meta.features[column]
        width, names = feature["shape"][0], _flat(feature.get("names"))
        if width == 1 and len(names) != 1:
            names = [column.rsplit(".", 1)[-1]]
        if len(names) != width:
            raise ValueError(
                f"{meta.root} does not name the {width} dimensions of {column} (names: {feature.get('names')}). State "
                f"them all in the card (reader.init_args.facts.{fact}=[...])."
            )
        found += names
    return found


def _flat(names: Any) -> list[str]:
    """Names as a list; some data sets wrap them, as in ``{"motors": [...]}``, or number them, as in ``{"x": 0}``."""
    if isinstance(names, Mapping):
        if names and sorted(map(str, names.values())) == sorted(map(str, range(len(names)))):
            return sorted(names, key=lambda name: int(names[name]))
        return [name for part in names.values() for name in _flat(part)]
    return [str(name) for name in names] if isinstance(names, list) else []


def gripper_of(names: Sequence[str], columns: Sequence[str]) -> int | None:
    """The dimension that ``names`` call a gripper, or None; raises ValueError where there are several."""
    found = [i for i, name in enumerate(names) if dimension(name).role == "gripper"]
    if len(found) > 1:
        several = ", ".join(names[i] for i in found)
        raise ValueError(
            f"{' + '.join(columns)} has several dimensions of a gripper ({several}). State which one is meant "
            f"in the card (reader.init_args.facts.gripper={found[0]})."
        )
    return found[0] if found else None


def _only(found: tuple[int, ...] | None) -> int | None:
    return found[0] if found else None


def _in_radians(meta: LeRobotMeta, names: Sequence[str], columns: Sequence[str]) -> Dims:
    """The dimensions of roll, pitch and yaw; None without them, and where names or numbers tell degrees."""
    angles = find(names, EULER)
    if angles is None or any(dimension(names[i]).degrees for i in angles):
        return None
    return None if any(max(-low, high) > TURN for low, high in ranges_of(meta, columns, angles)) else angles


def _form_by_name(names: Sequence[str], translation: Dims) -> ActionForm | None:
    """What names say of a translation; None without one, and where they say both."""
    deltas = {dimension(names[i]).delta for i in translation or ()}
    if len(deltas) != 1:
        return None
    return "increment" if True in deltas else "absolute"


def _elsewhere(
    meta: LeRobotMeta, actions: Sequence[str], commands: Sequence[int], felt: Sequence[str], positions: Sequence[int]
) -> bool:
    """Whether commands lie elsewhere than the positions they would have to be near, if they were poses to go to."""
    told, been = ranges_of(meta, actions, commands), ranges_of(meta, felt, positions)
    small = []
    for (low, high), (least, most) in zip(told, been, strict=False):
        if max(low - most, least - high) > (most - least) + (high - low) + NEAR:
            return True
        if most - least > NEAR:
            small.append(high - low < SMALL * (most - least))
    distances = mean_distances(meta, actions, commands, felt, positions)
    far = any(d > most - least + NEAR for d, (least, most) in zip(distances, been, strict=False))
    return far or (bool(small) and all(small))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "robot"
