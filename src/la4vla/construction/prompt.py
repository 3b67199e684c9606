"""The prompt of a segmenting vision-language model (LA4VLA, section 7.3), filled into ``prompt.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Literal

from la4vla.construction.keyframes import Keyframe
from la4vla.schema.episode import Episode
from la4vla.schema.primitives import DEFINITIONS

Part = Literal["rules", "episode", "view", "closing", "retry"]


def write_rules(schema: dict[str, Any]) -> str:
    """What holds for every episode: the vocabulary, its definitions and rules, and the schema of the answer.

    It comes first and never changes inside a data set, so that providers can keep it and bill it at a lower rate.
    """
    rows = [
        f"- `{primitive}` ({definition.context}, {definition.motion}; {definition.status or 'either status'}): "
        f"{definition.meaning}"
        for primitive, definition in DEFINITIONS.items()
    ]
    return _part("rules").substitute(vocabulary="\n".join(rows), schema=json.dumps(schema, separators=(",", ":")))


def write_episode(episode: Episode, keyframes: Sequence[Keyframe], cameras: Sequence[str]) -> str:
    """What is known of one episode before its frames are seen."""
    events = [f"- {keyframe.time_s:.2f}s: {keyframe.event}" for keyframe in keyframes]
    return _part("episode").substitute(
        task=episode.instruction or "not recorded",
        duration=f"{duration_s(episode):.2f}",
        embodiment=episode.embodiment.name,
        rate=f"{episode.embodiment.control_hz:g}",
        views=", ".join(f'"{camera}"' for camera in cameras),
        keyframes="\n".join(events) or "- none found",
    )


def write_view(camera: str) -> str:
    """What is written above the frames of one camera."""
    return _part("view").substitute(camera=camera)


def write_closing(episode: Episode) -> str:
    """What is asked after the frames."""
    return _part("closing").substitute(duration=f"{duration_s(episode):.2f}")


def write_retry(objection: str) -> str:
    """What is said to an answer that cannot be used."""
    return _part("retry").substitute(objection=objection)


def duration_s(episode: Episode) -> float:
    """How long an episode lasts."""
    return len(episode) / episode.embodiment.control_hz


@cache
def _parts() -> dict[str, Template]:
    text = files("la4vla.construction").joinpath("prompt.md").read_text(encoding="utf-8")
    _, *pieces = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)
    return {name: Template(piece.strip()) for name, piece in zip(pieces[::2], pieces[1::2], strict=True)}


def _part(name: Part) -> Template:
    return _parts()[name]
