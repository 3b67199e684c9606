"""The rules of vision-agnostic instructions (LA4VLA, sections 4.2 and 7.3) as a checker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal, NamedTuple

from la4vla.construction.instruction_words import (
    COLOURS,
    DIRECTIONS,
    EMPTY,
    HOLDING,
    IMPLIED,
    MATERIALS,
    NEUTRAL,
    POSES,
    SCENE,
    TURNS,
    VERBS,
)
from la4vla.construction.instructions import write_instruction
from la4vla.schema.primitives import DEFINITIONS, Motion, Primitive, Status

Rule = Literal["type", "direction", "status", "colour", "material", "scene", "identity"]
OPPOSITES = (("forward", "backward"), ("left", "right"), ("upward", "downward"))
HORIZONTAL = frozenset({"forward", "backward", "left", "right"})


class Violation(NamedTuple):
    """A rule that an instruction breaks, and how."""

    rule: Rule
    detail: str


def check_instruction(
    instruction: str, primitive: Primitive, directions: Sequence[str] = (), status: Status | None = None
) -> list[Violation]:
    """Every rule that ``instruction`` breaks; an empty list if it may be learned from without vision.

    Words are judged by a closed vocabulary, so that no object, however rare, passes unknown: a harmless word that is
    not in it is reported as well.

    Args:
        instruction: The instruction.
        primitive: What the segment does.
        directions: Base-frame directions the segment is known to take; empty where none are known.
        status: The segment's status where known, else that of the primitive's definition.
    """
    words = _words(instruction)
    found = _scene(words) + _type(words, primitive)
    return found + _direction(words, primitive, directions) + _status(words, primitive, status)


def stated_directions(instruction: str, primitive: Primitive) -> tuple[str, ...]:
    """The base-frame directions an instruction commands, in its order; else the one its verb implies."""
    words = _words(instruction)
    said = [direction for word in words for direction, names in DIRECTIONS.items() if word in names]
    if not said and DEFINITIONS[primitive].motion is Motion.TRANSLATION:
        said = [where for word in words for verb, where in IMPLIED.items() if word in _forms(verb)]
    return tuple(dict.fromkeys(said))


def rewrite_instruction(
    instruction: str, primitive: Primitive, directions: Sequence[str], status: Status | None, variant: str
) -> str:
    """An instruction that keeps the rules, from what the segment is known to do.

    Args:
        instruction: The one that breaks them; a turn or an orientation it states is kept.
        primitive: What the segment does.
        directions: Base-frame directions; what ``instruction`` states or implies where empty.
        status: As for :func:`check_instruction`.
        variant: What the wording is drawn by.

    Raises:
        ValueError: If the instruction needs a direction or a status that nothing tells, or what is known of the segment
            contradicts its primitive, so that no wording keeps the rules.
    """
    where = list(directions or stated_directions(instruction, primitive))
    if not where:
        where = [word for word in _words(instruction) if word in TURNS | POSES][:1]
    if not where and (implied := IMPLIED.get(str(primitive))):
        where = [implied]
    known = DEFINITIONS[primitive].status or status or _stated_status(_words(instruction), primitive)
    if known is None and primitive is Primitive.WAIT:
        raise ValueError("The instruction of a wait segment must state whether something is held.")
    written = write_instruction(primitive, where, known or Status.EMPTY, variant)
    if broken := check_instruction(written, primitive, directions, status):
        raise ValueError(
            f"An instruction of a {primitive} segment must keep the rules, but {written!r} does not: "
            f"{broken[0].detail}. Mend the segment's primitive, directions or status."
        )
    return written


def _words(instruction: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:[-'][^\W\d_]+)*", instruction.lower())


def _scene(words: Iterable[str]) -> list[Violation]:
    """Words that name what only vision could know."""
    kinds: tuple[tuple[Rule, frozenset[str], str], ...] = (
        ("colour", COLOURS, "names a colour"),
        ("material", MATERIALS, "names a material"),
        ("scene", SCENE, "names a part of the scene"),
    )
    found = []
    for word in dict.fromkeys(word for word in words if word not in _vocabulary()):
        rule, _, says = next(
            (kind for kind in kinds if word in kind[1]),
            ("identity", frozenset[str](), "names an object, or is outside the vocabulary"),
        )
        found.append(Violation(rule, f"'{word}' {says}"))
    return found


def _type(words: Sequence[str], primitive: Primitive) -> list[Violation]:
    if any(word in _forms(verb) for word in words for verb in VERBS[primitive]):
        return []
    return [Violation("type", f"no word says that this is a {primitive}")]


def _direction(words: Sequence[str], primitive: Primitive, directions: Sequence[str]) -> list[Violation]:
    stated = stated_directions(" ".join(words), primitive)
    motion = DEFINITIONS[primitive].motion
    if motion is Motion.TRANSLATION and not stated:
        return [Violation("direction", f"a {primitive} must state a direction")]
    if motion is Motion.ROTATION and not stated and not any(word in TURNS | POSES for word in words):
        return [Violation("direction", f"a {primitive} must state a turn or an orientation")]
    if any(a in stated and b in stated for a, b in OPPOSITES):
        return [Violation("direction", f"it states opposite directions: {', '.join(stated)}")]
    if wrong := _impossible(primitive, stated):
        return [Violation("direction", wrong)]
    if directions and motion is Motion.TRANSLATION and set(stated) != set(directions):
        return [Violation("direction", f"it states {', '.join(stated)}, the segment goes {', '.join(directions)}")]
    return []


def _impossible(primitive: Primitive, stated: Sequence[str]) -> str | None:
    """Why the directions contradict the primitive's definition, or None."""
    if primitive is Primitive.LIFT and "upward" not in stated:
        return f"a lift goes upward, not {', '.join(stated)}"
    if primitive is Primitive.LOWER and "downward" not in stated:
        return f"a lower goes downward, not {', '.join(stated)}"
    if primitive is Primitive.TRANSPORT and not HORIZONTAL & set(stated):
        return f"a transport goes horizontally, not {', '.join(stated)} alone"
    return None


def _status(words: Sequence[str], primitive: Primitive, status: Status | None) -> list[Violation]:
    needed = DEFINITIONS[primitive].status
    if status and needed and status is not needed:
        return [Violation("status", f"a {primitive} is {needed}, the segment is marked {status}")]
    if primitive in (Primitive.GRASP, Primitive.PLACE):
        return []  # the action itself changes the status
    stated, known = _stated_status(words, primitive), needed or status
    if stated is None and (needed or primitive is Primitive.WAIT):
        return [Violation("status", "no word says whether something is held")]
    if stated and known and stated is not known:
        return [Violation("status", f"it says {stated}, the segment is {known}")]
    return []


def _stated_status(words: Sequence[str], primitive: Primitive) -> Status | None:
    if EMPTY & set(words):
        return Status.EMPTY
    # "hold still" says nothing of an object.
    holding = HOLDING - ({"hold"} if primitive is Primitive.WAIT else set())
    if any(word in _forms(verb) for word in words for verb in holding):
        return Status.HOLDING
    handled = DEFINITIONS[primitive].status is Status.HOLDING and "object" in words
    return Status.HOLDING if handled else None


@cache
def _vocabulary() -> frozenset[str]:
    verbs = frozenset(form for known in VERBS.values() for verb in known for form in _forms(verb))
    forms = frozenset(form for verb in (*IMPLIED, *HOLDING, *NEUTRAL) for form in _forms(verb))
    return frozenset().union(verbs, forms, EMPTY, TURNS, POSES, *DIRECTIONS.values())


@cache
def _forms(verb: str) -> frozenset[str]:
    """The regular forms of a verb, those with a doubled consonant included."""
    stem = verb.removesuffix("e")
    endings = {verb, f"{verb}s", f"{verb}es", f"{stem}ing", f"{stem}ed"}
    return frozenset(endings | {f"{verb}{verb[-1]}ing", f"{verb}{verb[-1]}ed", f"{verb.removesuffix('y')}ies"})
