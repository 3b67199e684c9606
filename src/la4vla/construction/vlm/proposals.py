"""A model's answer as proposals: their form, and whether their times can be true."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from la4vla.schema.primitives import Primitive, Status

Direction = Literal["forward", "backward", "left", "right", "upward", "downward"]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
TOLD = 6


class BadAnswer(ValueError):
    """An answer that cannot be used; the message says why, to the model that gave it."""


def _strict(schema: dict[str, Any]) -> None:
    # What strict servers ask of a schema; what comes back is read more kindly.
    schema["required"] = list(schema["properties"])
    schema["additionalProperties"] = False


def _whole_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can spell half a character, which no file can hold
        raise ValueError("it holds half a character") from None
    return text


class Proposal(BaseModel):
    """One proposed segment, times in seconds from the beginning of the episode.

    Status and directions may be missing, as in the paper's format; the instruction states them too.
    """

    model_config = ConfigDict(json_schema_extra=_strict)

    subaction: Primitive
    status: Annotated[Status | None, WithJsonSchema({"type": "string", "enum": list(Status)})] = None
    directions: list[Direction] = []
    instruction: Annotated[str, AfterValidator(_whole_characters)]
    start: Seconds
    end: Seconds


class Proposals(BaseModel):
    """All segments of one episode."""

    model_config = ConfigDict(json_schema_extra=_strict)

    segments: list[Proposal]


def answer_schema() -> dict[str, Any]:
    """The JSON schema of an answer, without titles and descriptions, which cost tokens and say nothing new."""
    schema: dict[str, Any] = _bare(Proposals.model_json_schema())
    return schema


@dataclass(frozen=True)
class Timing:
    """What the times of an answer must fulfil.

    Args:
        shortest_s: A shorter segment is no atomic action; a gripper takes longer to close.
        longest_gap_s: Longest stretch outside all segments, ends included. The paper's candidates cover 93 % of their
            episodes, so little is left out on purpose.
        overhang_s: How far beyond the episode a time may lie; it is taken as the end then.

    Raises:
        ValueError: If a number is negative.
    """

    shortest_s: float = 0.2
    longest_gap_s: float = 1.0
    overhang_s: float = 0.5

    def __post_init__(self) -> None:
        if min(self.shortest_s, self.longest_gap_s, self.overhang_s) < 0:
            raise ValueError(f"shortest_s, longest_gap_s and overhang_s cannot be negative, got {self}.")

    def objections(self, proposals: Sequence[Proposal], duration_s: float, control_hz: float) -> list[str]:
        """Why the times of ``proposals`` cannot stand; empty where they can."""
        told, shortest_s = [], max(self.shortest_s, 1 / control_hz)
        for number, proposal in enumerate(proposals, 1):
            if min(proposal.end, duration_s) - proposal.start < shortest_s - 1e-6:
                told.append(
                    f"segment {number} lasts from {proposal.start:.2f} to {proposal.end:.2f} s, shorter than "
                    f"{shortest_s:g} s"
                )
            if proposal.start < -1e-6 or proposal.end > duration_s + self.overhang_s:
                told.append(f"segment {number} leaves the episode, which lasts from 0 to {duration_s:.2f} s")
        for number, (before, after) in enumerate(pairwise(proposals), 1):
            if after.start < before.end - 1e-6:
                told.append(
                    f"segment {number + 1} starts at {after.start:.2f} s, before segment {number} ends at "
                    f"{before.end:.2f} s"
                )
        stops = [0.0, *(proposal.end for proposal in proposals)]
        starts = [*(proposal.start for proposal in proposals), duration_s]
        gaps = [(a, b) for a, b in zip(stops, starts, strict=True) if b - a > self.longest_gap_s + 1e-6]
        return told + [f"nothing covers {a:.2f} to {b:.2f} s" for a, b in gaps]


def read_proposals(text: str, duration_s: float, control_hz: float, timing: Timing) -> list[Proposal]:
    """The proposals in an answer: an object with ``segments``, or the bare list of the paper.

    Raises:
        BadAnswer: If it holds no proposals of the right form, or their times cannot be true.
    """
    value = _json(text)
    try:
        proposals = Proposals.model_validate({"segments": value} if isinstance(value, list) else value).segments
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise BadAnswer("; ".join(wrong[:TOLD])) from error
    if not proposals:
        raise BadAnswer("there are no segments, but the arm does something")
    if told := timing.objections(proposals, duration_s, control_hz):
        raise BadAnswer("; ".join(told[:TOLD]))
    return proposals


def _json(text: str) -> Any:
    """The JSON value in ``text``, which may stand between thoughts, words and code fences."""
    text = THOUGHT.sub("", text)
    opening = re.search(r"[\[{]", text)
    if opening is None:
        raise BadAnswer("there is no JSON in it" if text.strip() else "it is empty")
    try:
        return json.JSONDecoder().raw_decode(text, opening.start())[0]
    except (ValueError, RecursionError) as error:  # the latter where a model repeats one bracket until it is cut off
        raise BadAnswer(f"it is no whole JSON ({error})") from error


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        # A property may itself be called "title"; ours are not.
        return {k: _bare(v) for k, v in schema.items() if k not in ("title", "description", "default")}
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema
