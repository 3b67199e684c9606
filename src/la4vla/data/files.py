"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A binary file for writing that takes the name ``path`` only once all of it is on disk.

    It is written under ``.{name}.part`` in the same folder, synced and renamed, so a reader never sees half a file.

    Raises:
        OSError: If the disk is full or the write fails otherwise; nothing new is left under ``path`` then.
    """
    part = path.with_name(f".{path.name}.part")
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
