"""The colour cameras of a LeRobot data set, told from those that record depth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from la4vla.data.readers.lerobot_meta import LeRobotMeta
from la4vla.data.readers.member_names import as_member_name, check_camera_names
from la4vla.schema.embodiment import Embodiment

CHANNELS = ("channels", "channel", "c")
ONE_CHANNEL = ("gray", "y16", "ya", "mono")  # beginnings of ffmpeg's names of such pixel formats


def colour_cameras(
    meta: LeRobotMeta, cameras: Mapping[str, str] | None, body: Embodiment | None
) -> tuple[dict[str, str], list[str]]:
    """By name of a camera its key in the data set, and a sentence on each camera that is left out.

    Args:
        meta: The metadata.
        cameras: The cameras that the card names, with their keys; None takes those of ``body``, or all of colour.
        body: The embodiment that the card states, or None.

    Raises:
        ValueError: If there is no such camera, one that is named records no colour, or names cannot be kept apart.
    """
    if cameras is None and body is None:
        return _found(meta)
    if cameras is None and body is not None:
        known = _names(meta)
        cameras = {name: known.get(name, name) for name in body.cameras}
    chosen = dict(cameras or {})
    check_camera_names(chosen)
    for name, key in chosen.items():
        if key not in meta.camera_keys:
            known_keys = ", ".join(meta.camera_keys) or "none"
            raise ValueError(f"Camera {name} wants the video {key!r}; {meta.root} has {known_keys}.")
        if fault := not_colour(meta.features[key]):
            raise ValueError(
                f"Camera {name} records no colour: {key} of {meta.root} {fault}. Leave it out of the card."
            )
    return chosen, []


def not_colour(feature: Mapping[str, Any]) -> str | None:
    """What the metadata say of a camera that records depth or one channel, as a predicate; None for one of colour."""
    parts = (feature.get("video_info"), feature.get("info"), feature)
    told = {name: value for part in parts if isinstance(part, Mapping) for name, value in part.items()}
    if any(told.get(flag) for flag in ("is_depth_map", "video.is_depth_map")):
        return "is flagged as a depth map"
    channels = feature_axes(feature)[1]
    if 1 in (channels, told.get("video.channels")):
        return "has one channel"
    form = str(told.get("video.pix_fmt") or "")
    return f"has the pixel format {form}, of one channel" if form.startswith(ONE_CHANNEL) else None


def feature_axes(feature: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Height in pixels and number of channels of a camera's pictures, each None where the shape does not tell it."""
    shape, names = list(feature.get("shape") or []), feature.get("names")
    if len(shape) not in (2, 3) or not all(isinstance(side, int) for side in shape):
        return None, None
    if len(shape) == 2:
        return shape[0], 1
    words = [str(name).lower() for name in names] if isinstance(names, list) and len(names) == 3 else []
    at = next((i for i, word in enumerate(words) if word in CHANNELS), None)
    if at is None:
        at = 0 if shape[0] <= 4 < shape[2] else 2
    height = words.index("height") if "height" in words else 1 if at == 0 else 0
    return shape[height], shape[at]


def _found(meta: LeRobotMeta) -> tuple[dict[str, str], list[str]]:
    chosen, left_out = {}, []
    for name, key in _names(meta).items():
        fault = not_colour(meta.features[key])
        words = set(re.split(r"[^a-z0-9]+", key.lower()))
        if fault:
            left_out.append(f"The camera {key} of {meta.root} is left out: it {fault}, and policies see colour.")
        elif "depth" in words and not words & {"rgb", "color", "colour"}:
            left_out.append(
                f"The camera {key} of {meta.root} is left out: its name says depth; if it is colour, name it with "
                f"reader.init_args.cameras={{{name}: {key}}} and all others that you want."
            )
        else:
            chosen[name] = key
    return chosen, left_out


def _names(meta: LeRobotMeta) -> dict[str, str]:
    """Every camera's key by the name it gets where the card gives none: what follows ``observation.images.``."""
    names: dict[str, str] = {}
    for key in meta.camera_keys:
        name = as_member_name(key.removeprefix("observation.images."))
        if name in names:
            raise ValueError(
                f"The cameras {names[name]} and {key} of {meta.root} would both be called {name}: name them in the "
                "card (reader.init_args.cameras)."
            )
        names[name] = key
    return names
