"""A model's answer as proposals: their form, and whether their times can be true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from la4vla.construction.vlm.message import BadAnswer, after_thoughts, last_fitting
from la4vla.schema.primitives import Primitive, Status

Direction = Literal["forward", "backward", "left", "right", "upward", "downward"]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
TOLD = 6
NOTHING = "there are no segments, but the arm does something"


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
    """The proposals in an answer: an object with ``segments``, or the bare list of the paper; the last that fits.

    Raises:
        BadAnswer: If it holds no proposals of the right form, or their times cannot be true.
    """
    proposals = last_fitting(after_thoughts(text), _proposals, "segments")
    if not proposals:
        raise BadAnswer(NOTHING)
    proposals = abutting(proposals, control_hz)
    if told := timing.objections(proposals, duration_s, control_hz):
        raise BadAnswer("; ".join(told[:TOLD]))
    return proposals


def _proposals(value: Any) -> list[Proposal]:
    """The proposals that are the JSON value ``value``."""
    if value == []:  # prose has empty brackets too
        raise BadAnswer(NOTHING)
    try:
        return Proposals.model_validate({"segments": value} if isinstance(value, list) else value).segments
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise BadAnswer("; ".join(wrong[:TOLD])) from error


def abutting(proposals: Sequence[Proposal], control_hz: float) -> list[Proposal]:
    """The same proposals without overlaps of up to one step of the robot: both give way by half.

    Nothing happens between two steps, and a model that rounds its times to hundredths lets neighbours overlap by less.
    """
    mended = list(proposals)
    for number, (before, after) in enumerate(pairwise(proposals)):
        if 0 < before.end - after.start <= 1 / control_hz + 1e-6:
            middle = (before.end + after.start) / 2
            mended[number] = mended[number].model_copy(update={"end": middle})
            mended[number + 1] = after.model_copy(update={"start": middle})
    return mended


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        # A property may itself be called "title"; ours are not.
        return {k: _bare(v) for k, v in schema.items() if k not in ("title", "description", "default")}
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema
