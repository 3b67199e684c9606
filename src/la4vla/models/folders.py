"""Folders that hold a policy, in this package's form or in a published one: written whole, read with a sentence."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


@contextmanager
def whole_files(folder: Path, *names: str) -> Iterator[Path]:
    """A scratch folder to write ``names`` into, files or folders, which then move into ``folder``.

    Each takes the place of an older one in the order given and only once all of it is on the disk, so that the last
    may tell that the others are there. Where the writing fails, ``folder`` stays as it was.

    Raises:
        OSError: If the disk is full; says so.
    """
    try:
        with _moved(folder, *names) as scratch:
            yield scratch
    except (OSError, SafetensorError) as error:
        if not _is_full(error):
            raise
        message = (
            f"The disk filled up while writing {', '.join(names)} into {folder}, which stays as it was; free space."
        )
        raise OSError(errno.ENOSPC, message) from error


def _is_full(error: Exception) -> bool:
    """Whether a disk has no room left; safetensors tells it in words alone."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(f"os error {number}" in str(error) for number in (errno.ENOSPC, errno.EDQUOT))


@contextmanager
def _moved(folder: Path, *names: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
        yield Path(scratch)
        for name in names:
            whole = Path(scratch) / name
            for part in (*whole.rglob("*"), whole):
                _sync(part)
            if whole.is_dir():
                shutil.rmtree(folder / name, ignore_errors=True)
            os.replace(whole, folder / name)
    _sync(folder)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into that takes the name ``folder`` once all of it is on the disk.

    Raises:
        ValueError: If ``folder`` exists.
    """
    if folder.exists():
        raise ValueError(f"{folder} exists: name a folder that does not, nothing is ever overwritten.")
    with whole_files(folder.parent, folder.name) as scratch:
        (scratch / folder.name).mkdir()
        yield scratch / folder.name


def _sync(path: Path) -> None:
    """Waits until ``path`` is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_object(path: Path, missing: str) -> dict[str, Any]:
    """The object in the JSON file ``path``.

    Raises:
        ValueError: If the file is missing, told by the sentence ``missing``, or damaged, or holds something else.
    """
    if not path.is_file():
        raise ValueError(missing)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}): copy it again.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


def write_object(path: Path, content: Any, unknown: Callable[[Any], Any] | None = None) -> None:
    """Writes ``content`` as an indented JSON file; ``unknown`` turns what JSON does not know into what it does."""
    path.write_text(json.dumps(content, indent=2, default=unknown) + "\n", encoding="utf-8")
