"""The answer inside a message: the last JSON value that fits, between thoughts, words, drafts and code fences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
OPENING = re.compile(r"[\[{]")
# As models mark their thoughts; where the chat template has opened them, only the end is in the message.
THOUGHTS_BEGIN = re.compile(r"<(?:think|thinking|thought|reasoning)>|◁think▷", re.IGNORECASE)
THOUGHTS_END = re.compile(r"</(?:think|thinking|thought|reasoning)>|◁/think▷", re.IGNORECASE)
DECODER = json.JSONDecoder()


class BadAnswer(ValueError):
    """An answer that cannot be used; the message says why, to the model that gave it."""


def after_thoughts(text: str) -> str:
    """What stands behind the last end of thoughts.

    Raises:
        BadAnswer: If thoughts begin and never end, so that all of it is draft.
    """
    text = THOUGHTS_END.split(text)[-1]
    if THOUGHTS_BEGIN.search(text):
        raise BadAnswer("its thoughts do not end, so that no answer follows them")
    return text


def last_fitting(text: str, fit: Callable[[Any], T], key: str) -> T:
    """The last JSON value in ``text`` that fits: a model may draft, correct itself, and write brackets in its prose.

    Every bracket is tried. A part of a value that fits, or that means to be the answer, is no answer of its own; nor is
    a bare list that stands in something broken off.

    Args:
        text: What stands behind the thoughts.
        fit: Turns a value into what is wanted.
        key: What an object that means to be the answer holds.

    Raises:
        BadAnswer: If no value fits; tells what is wrong with the last one that means to, else with the longest that is
            no JSON, else with the last value.
    """
    fitting: list[T] = []
    meant: BadAnswer | None = None
    broken: BadAnswer | None = None
    other = BadAnswer("there is no JSON in it" if text.strip() else "it is empty")
    at = broken_at = longest = 0
    while (opening := OPENING.search(text, at)) is not None:
        start, at = opening.start(), opening.end()
        try:
            value, stop = DECODER.raw_decode(text, start)
        except RecursionError:  # one bracket repeated until the answer is cut off
            broken = BadAnswer("it is no whole JSON (a bracket is repeated without end)")
            break
        except json.JSONDecodeError as error:
            broken_at = max(broken_at, error.pos)
            if error.pos - start > longest:
                longest = error.pos - start
                broken = BadAnswer(f"it is no whole JSON ({error}), but an object with {key!r} is wanted")
            continue
        if isinstance(value, list) and start < broken_at:
            continue
        means_to = isinstance(value, dict) and key in value
        try:
            fitting.append(fit(value))
        except BadAnswer as bad:
            if means_to:
                meant, at = bad, stop
            else:
                other = bad
        else:
            at = stop
    if fitting:
        return fitting[-1]
    raise meant or broken or other
