"""Fingerprints of demonstrations that lie in files: what tells that one is no longer what it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from la4vla.data.readers.base import Key

# Of a file that is too large to be hashed whole, its beginning and its end; film containers keep their tables there.
ENDS = 1 << 18


class Fingerprint(NamedTuple):
    """One demonstration as it lies there now.

    Attributes:
        episode: Its name, which a corrected instruction leaves as it is.
        digest: Changes with all that is read of it, wherever the files lie and whenever they were written; empty where
            one of its files is not there.
    """

    episode: str
    digest: str


@runtime_checkable
class Fingerprinted(Protocol):
    """A reader of files, which people add to and correct. Simulated readers depend on their arguments alone."""

    @property
    def source(self) -> Path:
        """The folder or file that is read."""
        ...

    def fingerprints(self, keys: Sequence[Key], frames: bool) -> list[Fingerprint]:
        """The fingerprints of the demonstrations ``keys``, with their pictures or without."""
        ...


def digest_of(*parts: Any) -> str:
    """16 hexadecimal digits that stand for ``parts``, plain JSON values."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Digest of a file's size and content, of a large one its two ends; empty where there is no such file."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            sha = hashlib.sha256(f"{size} ".encode())
            sha.update(file.read(2 * ENDS if size <= 2 * ENDS else ENDS))
            if size > 2 * ENDS:
                file.seek(-ENDS, os.SEEK_END)
                sha.update(file.read(ENDS))
    except FileNotFoundError:
        return ""
    return sha.hexdigest()[:16]
