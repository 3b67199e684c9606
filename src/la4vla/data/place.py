"""Folders here and in object stores, by one name."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from upath import UPath

Place: TypeAlias = "Path | UPath"


def place(folder: str | Place) -> Place:
    """``folder`` as a path here, or, where it is a URL such as ``s3://bucket/prefix``, as one of fsspec's.

    Credentials and addresses come from the environment and the configuration files of the store's own tools
    (``AWS_PROFILE``, ``AWS_ENDPOINT_URL``), never from a card.

    Raises:
        ImportError: If the package that speaks to the store is not installed.
        ConnectionError: If the store cannot be reached, or not without credentials that are not there.
        ValueError: If nothing is known of such URLs.
    """
    text = str(folder)
    protocol, _, rest = text.rpartition("://")
    if not protocol:
        return Path(text)
    return Path(rest) if protocol in ("file", "local") else _remote(text)


def is_remote(where: Place) -> bool:
    """Whether ``where`` lies in an object store."""
    return not isinstance(where, Path)


def remove_tree(where: Place) -> None:
    """Remove a folder and all in it, where it is there."""
    if isinstance(where, Path):
        shutil.rmtree(where, ignore_errors=True)
    elif where.exists():
        where.fs.rm(where.path, recursive=True)


@cache
def _remote(url: str) -> UPath:
    try:
        from upath import UPath

        # listings that fsspec remembers would not show what other machines have written since
        path = UPath(url, use_listings_cache=False)
        store: Any = path.fs
    except ImportError as error:
        raise ImportError(f"{url} needs `pip install la4vla[s3]`, or fsspec's package for that store.") from error
    except ValueError as error:
        raise ValueError(f"{url} names no kind of store that fsspec knows: {error}.") from error
    try:
        store.exists(path.path)
    except _refusals() as error:
        raise ConnectionError(
            f"{url} cannot be reached: {' '.join(str(error).split())} Give credentials and address as the store's own "
            "tools take them, for example in AWS_PROFILE and AWS_ENDPOINT_URL."
        ) from error
    return path


def _refusals() -> tuple[type[Exception], ...]:
    """What stores raise that cannot be reached or let nobody in."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (PermissionError,)
    return (PermissionError, BotoCoreError)
