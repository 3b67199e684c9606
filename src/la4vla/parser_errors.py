"""What the parser reports over many lines, as one sentence in the words of a card."""

from __future__ import annotations

import difflib
import inspect
import re
import sys

# Lines that say how the parser tried, not what is wrong.
WORKINGS = re.compile(
    r"Does not validate against any|Subtypes: |Errors:$|Given value|Subclass types expect|- a class path|- a dict with"
)
NOTHING = re.compile(r"Expected a <class '\w+'>\.?$")


def one_sentence(message: str) -> str:
    """The parser's ``message`` on one line; a misspelt class is told with the known one that is most like it.

    Args:
        message: As jsonargparse words it: a key, what it tried, what each try came to, and the value that was given.
    """
    lines = [line.strip().removeprefix("- ") for line in message.splitlines() if not WORKINGS.match(line.strip())]
    telling = [line for line in lines if not NOTHING.match(line)]
    if len(telling) < 2:  # the key alone
        telling = lines
    return " ".join(filter(None, map(_plain, telling)))


def _plain(line: str) -> str:
    if match := re.fullmatch(r'Parser key "([^"]+)":', line):
        return f"{match[1]}:"
    if match := re.fullmatch(r"Problem with given class_path '([^']+)':", line):
        return f"{match[1].rsplit('.', 1)[-1]}:"
    if match := re.match(r"Expected a dot import path string: (\S+)", line):
        return f"there is no class {match[1]}; give a known one or the whole path of its import.{_nearest(match[1])}"
    if match := re.fullmatch(r"module '([\w.]+)' has no attribute '(\w+)'", line):
        return f"{match[1]} has no class {match[2]}.{_nearest(match[2])}"
    if match := re.fullmatch(r"Not a valid subclass of (\w+)\. Got value: (.*)", line):
        value = "null" if match[2] == "None" else match[2]
        return f"{value} is no {match[1]}; leave out what is not wanted."
    return line


def _nearest(name: str) -> str:
    known = {
        member
        for module_name, module in list(sys.modules.items())
        if module_name.startswith(("la4vla.", "lightning.pytorch.callbacks", "lightning.pytorch.loggers"))
        for member, value in vars(module).items()
        if inspect.isclass(value) and not member.startswith("_")
    }
    match = difflib.get_close_matches(name, sorted(known), 1, 0.75)
    return f" Did you mean '{match[0]}'?" if match else ""
