"""Repositories of a hub: which names may be one, their files, and one sentence where the hub does not answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# What can go wrong on the way has a base in a package whose name differs between versions; it is a base of this class.
FAILURES: tuple[type[Exception], ...] = (
    ValueError,
    OSError,
    *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)),
)


def is_repository(name: object) -> bool:
    """Whether ``name`` can be a repository's id, ``owner/name``, and is no file or folder here."""
    return isinstance(name, str) and REPOSITORY.fullmatch(name) is not None and not Path(name).exists()


def snapshot(
    repository: str, patterns: Sequence[str] | None = None, revision: str | None = None, endpoint: str | None = None
) -> Path:
    """A folder with the files of ``repository``, from the hub or from what was fetched before.

    Args:
        repository: ``owner/name``.
        patterns: Files wanted; None takes all.
        revision: Branch, tag or commit.
        endpoint: Address of another hub than huggingface.co.

    Raises:
        OSError: If the hub cannot be reached, or has no such repository that may be read.
    """
    wanted = None if patterns is None else list(patterns)
    with reaching(repository):
        return Path(snapshot_download(repository, allow_patterns=wanted, revision=revision, endpoint=endpoint))


@contextmanager
def reaching(repository: str) -> Iterator[None]:
    """While it lasts, whatever the hub's client raises about ``repository`` becomes one sentence.

    Raises:
        OSError: The sentence.
    """
    try:
        yield
    except FAILURES as error:
        raise OSError(
            f"the hub did not answer for {repository}: {first_line(error).rstrip('.')}; check its name, the network, "
            "and the token if it is private."
        ) from error


def first_line(error: BaseException) -> str:
    """What ``error`` says, without the advice that the hub's clients append in further lines."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
