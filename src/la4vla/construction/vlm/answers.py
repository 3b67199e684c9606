"""Answers on disk, so that none is paid twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from la4vla.construction.vlm.bill import Usage
from la4vla.data.files import written_whole
from la4vla.data.hold import hold


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Args:
        text: The message; empty where it said nothing.
        model: The model that answers, by its own word.
        finish_reason: Why it stopped; ``"length"`` where it was cut off.
        prompt_tokens: Tokens sent, as billed.
        completion_tokens: Tokens received, as billed.
        refusal: Why the model would not answer, in its own words; empty where it did not say so.
    """

    text: str
    model: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    refusal: str = ""

    @property
    def usage(self) -> Usage:
        """What this answer cost."""
        return Usage(1, self.prompt_tokens, self.completion_tokens)


def digest(body: Mapping[str, Any]) -> str:
    """The hash of everything that is sent, which names its answer."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class AnswerStore:
    """Answers by the hash of what was asked, one file each in ``folder``.

    Files are whole or absent, whatever kills the process. Who asks holds a lock, so that threads and processes that
    want the same answer wait for the first of them instead of paying too; a lock ends with its process.
    """

    folder: Path

    def path(self, body: Mapping[str, Any]) -> Path:
        """Where the answer to ``body`` lies, or would."""
        name = digest(body)
        return self.folder / name[:2] / f"{name}.json"

    def holds_any(self) -> bool:
        """Whether there is any answer."""
        return next(self.folder.glob("*/*.json"), None) is not None

    def answer(self, body: Mapping[str, Any], ask: Callable[[Mapping[str, Any]], Answer]) -> Answer:
        """The answer to ``body``: the one on disk, else that of ``ask``, which is kept."""
        path = self.path(body)
        if path.exists():
            return Answer(**json.loads(path.read_bytes()))
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            if not path.exists():
                answer = ask(body)
                with written_whole(path) as file:
                    file.write(json.dumps(asdict(answer)).encode())
            return Answer(**json.loads(path.read_bytes()))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    lock = path.with_name(f".{path.stem}.lock")
    lock.touch()
    release = hold(lock)
    try:
        yield
        # Only now: a lock removed while the answer is missing would let two others in at once.
        lock.unlink(missing_ok=True)
    finally:
        release()
