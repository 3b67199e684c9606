"""The grammar every verb shares: ``RECIPE.yaml [OVERLAY.yaml ...] [key=value ...]``, read left to right."""

from __future__ import annotations

import codecs
import difflib
import locale
import os
import re
import signal
import sys
from argparse import SUPPRESS, Action
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import fill
from types import FrameType
from typing import Any, NoReturn

from jsonargparse import ArgumentParser
from rich.console import Console

from la4vla.parser_errors import one_sentence

PIPE_WIDTH = 160
KEY_VALUE = re.compile(r"[A-Za-z_][\w.]*\+?=")
# How argparse and jsonargparse name a key they do not know.
UNKNOWN = (
    re.compile(r"unrecognized arguments: --([\w.]+)", re.IGNORECASE),
    re.compile(r"Group '([\w.]+)' does not accept option '([\w.]+)'"),
    re.compile(r"Option '([\w.]+)' is not accepted"),
)


# Parts of what a user wrote that an error must not repeat: passwords and keys inside addresses, and values of keys that
# are secrets by their names. Names of environment variables are shown, ``${NAME}`` and NAME.
SECRETS = (
    re.compile(r"(://[^\s/:@'\"]*:)(?!\$\{\w+\}@)[^\s/'\"]+(?=@)"),
    re.compile(r"([?&][\w.-]*(?:key|token|secret|passw|sig|auth|credential)[\w.-]*=)(?!\$\{\w+\})[^&\s'\"]+", re.I),
    re.compile(
        r"((?:api_?key\w*|\w*(?<!max_)token|\w*secret|\w*passw\w*|authorization)['\"]?(?:: ?|=)(['\"]))"
        r"(?!(?:\$\{\w+\}|(?-i:[A-Z_][A-Z0-9_]*))\2)(?:(?!\2).)+",
        re.I,
    ),
)
UNTOLD = ("help", "config", "print_config")
OF_A_GROUP = "Path to a configuration file."


def as_option(word: str) -> str:
    """Turn one word of the grammar into the option that argparse understands."""
    if KEY_VALUE.match(word):
        return f"--{word}"
    if word.endswith((".yaml", ".yml")) and not word.startswith("-"):
        return f"--config={word}"
    return word


def files_of(words: Sequence[str]) -> list[str]:
    """The recipe and its overlays among ``words``, in order."""
    return [w for w in words if w.endswith((".yaml", ".yml")) and not w.startswith("-") and not KEY_VALUE.match(w)]


def settings_of(words: Sequence[str]) -> list[str]:
    """The ``key=value`` words, in order."""
    return [w for w in words if KEY_VALUE.match(w)]


def without_secrets(text: str) -> str:
    """``text`` with passwords and keys replaced by ``[hidden]``."""
    for pattern in SECRETS:
        text = pattern.sub(r"\1[hidden]", text)
    return text


def closest(name: str, known: Sequence[str]) -> str:
    """A sentence offering the known name most like ``name``, or nothing."""
    leaves = {k.rsplit(".", 1)[-1]: k for k in reversed(known)}
    match = difflib.get_close_matches(name, known, 1, 0.75)
    match = match or [leaves[m] for m in difflib.get_close_matches(name.rsplit(".", 1)[-1], list(leaves), 1, 0.7)]
    return f" Did you mean '{match[0]}'?" if match else ""


class RecipeGrammar(ArgumentParser):
    """A jsonargparse parser with positional YAML files, ``key=value`` words and short errors."""

    file = "RECIPE"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Abbreviations would accept a typo such as max_step=5 as max_steps=5.
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_args(
        self, args: Iterable[str] | None = None, namespace: Any = None, env: bool | None = None, defaults: bool = True,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Parse the words of a command line (``sys.argv`` by default)."""
        words = sys.argv[1:] if args is None else args
        return super().parse_args([as_option(w) for w in words], namespace, env, defaults, **kwargs)

    def format_usage(self) -> str:
        """Two lines where argparse prints a screenful."""
        return f"usage: {self.prog} {self.file}.yaml [OVERLAY.yaml ...] [key=value ...]\n"

    def format_help(self, formatter: Any = None) -> str:
        """Every key as ``key=value``, with its type, its default and what it does, wherever it is declared."""
        lines = [self.format_usage(), *([self.description, ""] if self.description else []), "keys:"]
        for action in self._actions:
            told = action.help if isinstance(action.help, str) else ""
            if told in (SUPPRESS, OF_A_GROUP) or action.dest in UNTOLD or action.dest.endswith(".help"):
                continue
            lines += _explained(action, getattr(action, "_typehint", None) or action.type)
        return "\n".join(lines) + "\n"

    def error(self, message: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Fail with the message, freed of passwords and keys, and the closest known key or class."""
        super().error(without_secrets(one_sentence(f"{message}{self._hint(message)}")), *args, **kwargs)
        raise AssertionError("error() does not return")

    def _hint(self, message: str) -> str:
        if "Did you mean" in message:
            return ""
        known = [a.dest for a in self._actions if a.dest and a.help != SUPPRESS]
        for pattern in UNKNOWN:
            if (match := pattern.search(message)) and (hint := closest(".".join(match.groups()), known)):
                return hint
        return ""


class CardGrammar(RecipeGrammar):
    """The same for verbs that take cards."""

    file = "CARD"


def _explained(action: Action, kind: object) -> list[str]:
    """The lines that explain one key."""
    word = action.dest.replace(".init_args.", ".")
    shown = getattr(kind, "__name__", None) if isinstance(kind, type) else kind
    told = re.sub(r"(?:\w+\.)+(\w)", r"\1", str(shown or "value")).replace("<class '", "").replace("'>", "")
    value = "" if action.default in (None, SUPPRESS) else f"; default {action.default}"
    head = f"  {word.upper()}" if not action.option_strings else f"  {word}=VALUE"
    explanation = fill(" ".join((action.help or "").split()), 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    lines = [f"{head}  ({told if len(told) <= 100 else told[:97] + '...'}{value})"]
    return [*lines, explanation] if explanation.strip() else lines


def help_wanted(words: Sequence[str]) -> bool:
    """Return whether ``words`` ask for help; help needs no card."""
    return "--help" in words or "-h" in words


def card_files(words: Sequence[str], missing: str) -> list[str]:
    """The cards named in ``words``, at least one unless help is asked for, all of which exist.

    Raises:
        ValueError: If none is named, told by the sentence ``missing``.
        FileNotFoundError: If one does not exist.
    """
    files = files_of(words)
    if not files and not help_wanted(words):
        raise ValueError(missing)
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(f"There is no card {file}.")
    return files


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


def screen() -> Console:
    """The console of a verb's tables: as wide as the terminal, and wide enough for them in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def run_verb(main: Callable[[], Any]) -> None:
    """Run a verb; errors a user can mend become one sentence and exit status 1.

    Those are ValueError, OSError, LookupError, FloatingPointError and ImportError (a package to install), raised with a
    sentence by the rooms. Everything else is a fault of the program and keeps its traceback. Ctrl-C ends with status
    130, and SIGTERM, which is heard like it so that everything is closed, with 143.
    """
    _speak_utf8()
    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() == process:
            raise Terminated
        os._exit(128 + number)  # a forked worker has nothing to close

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        main()
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted; run the same command again to go on where it stopped", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT))
    except (ValueError, OSError, LookupError, FloatingPointError, ImportError) as error:
        cause = error.args[0] if isinstance(error, KeyError) and error.args else error
        sys.exit(without_secrets(f"error: {cause}"))
    finally:
        signal.signal(signal.SIGTERM, before)


def _speak_utf8() -> None:
    """Begin a verb again in Python's UTF-8 mode where the locale is another: cards and paths hold any letters.

    The processes it starts inherit the mode.
    """
    verb = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", "")
    if sys.flags.utf8_mode or codecs.lookup(locale.getpreferredencoding(False)).name == "utf-8":
        return
    if verb.startswith("la4vla.") and sys.executable and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
