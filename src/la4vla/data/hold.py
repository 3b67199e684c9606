"""Folders and files that one process at a time works on, also where the file system has no locks."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLock, Timeout

# What flock says on Lustre without its option, on other file systems without locks, and on NFS of what was opened for
# reading, as folders are.
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF)


def hold(path: Path, who: str = "process", wait: bool = True) -> Callable[[], None]:
    """Have ``path``, which exists, to oneself; what is returned lets go of it, and so does the end of the process.

    Where the file system has no locks, a file beside or inside ``path`` that names the process stands for one. It is
    taken for left behind once that process has ended, which only its own machine can know.

    Args:
        path: A folder or a file.
        who: What else may have it, for what is said while waiting.
        wait: Whether to wait, and say so on standard error, while somebody else has it.

    Raises:
        BlockingIOError: If somebody else has it and ``wait`` is false.
    """
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise
            _announce(f"Another {who} works in {path}; waiting for it to end.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        os.close(descriptor)
        if error.errno in NO_LOCKS:
            return _marked(path, who, wait)
        raise
    return lambda: os.close(descriptor)


@contextmanager
def held(folder: Path, who: str = "build") -> Iterator[None]:
    """Have ``folder`` to oneself; it is made, and goes again where an error leaves it empty."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    release = hold(folder, who)
    try:
        yield
    except BaseException:
        release()
        if made:
            _clear(folder, made)
        raise
    release()


def _clear(folder: Path, made: Sequence[Path]) -> None:
    """Remove empty folders inside ``folder``, and those of ``made``, which begin with it and go upwards."""
    inside = sorted((each for each in folder.rglob("*") if each.is_dir()), reverse=True)
    for each in (*inside, *made):
        if not any(each.iterdir()):
            each.rmdir()


def _marked(path: Path, who: str, wait: bool) -> Callable[[], None]:
    marker = path / ".held" if path.is_dir() else path.with_name(f".{path.name.lstrip('.')}.held")
    lock = SoftFileLock(marker, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BlockingIOError(errno.EAGAIN, "held by another process", str(path)) from None
        _announce(
            f"Another {who} works in {path}; waiting for it to end. If there is none, remove {marker}, which it left."
        )
        lock.acquire(poll_interval=1.0)
    return lock.release


def _announce(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
