"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING

from la4vla.data.place import Place

if TYPE_CHECKING:
    from upath import UPath

# Stores in which an object appears when its upload is complete, and not at all otherwise.
WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory")


@contextmanager
def written_whole(path: Place, *, contended: bool = False) -> Iterator[BufferedRandom]:
    """A binary file for writing that takes the name ``path`` only once all of it is on disk, or in its object store.

    It is written under ``.{name}.part`` in the same folder, synced and renamed, so a reader never sees half a file.
    What goes to an object store is written to a temporary file here and uploaded.

    Args:
        path: The final name.
        contended: Whether several processes may write this file at once; each does so under a name of its own then.

    Raises:
        OSError: If the disk is full or the write fails otherwise; nothing new is left under ``path`` then.
        ValueError: If the store of ``path`` does not promise that.
    """
    if not isinstance(path, Path):
        with _uploaded_whole(path) as file:
            yield file
        return
    writer = f".{uuid.uuid4().hex}" if contended else ""
    part = path.with_name(f".{path.name}{writer}.part")
    try:
        with open(part, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"The disk filled up while writing {path}. Nothing was left under that name; free some space."
            raise OSError(error.errno, message) from error
        raise
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _uploaded_whole(path: UPath) -> Iterator[BufferedRandom]:
    if path.protocol not in WHOLE:
        raise ValueError(
            f"{path} cannot be written: a file of {path.protocol} may be seen half. Stores that can be: "
            f"{', '.join(WHOLE)}."
        )
    with tempfile.TemporaryDirectory(prefix="la4vla-") as folder:
        local = Path(folder) / path.name
        with written_whole(local) as file:
            yield file
        path.fs.put_file(str(local), path.path)


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a whole file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
