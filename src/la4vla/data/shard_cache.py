"""Shard sets of object stores on this machine: every tar is downloaded once and known by its hash."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console

from la4vla.data.files import written_whole
from la4vla.data.hold import held
from la4vla.data.manifest import Manifest, ShardEntry
from la4vla.data.place import Place
from la4vla.data.shard_index import ShardIndex, index_path

VARIABLE = "LA4VLA_CACHE"
AT_ONCE = 8


def cache_folder() -> Path:
    """Where copies go: ``LA4VLA_CACHE``, or ``la4vla`` in ``XDG_CACHE_HOME`` or ``~/.cache``. It can be removed."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "la4vla"


def local_folder(folder: Place, manifest: Manifest) -> Path:
    """The folder with the tars and indices of a set: its own, or for one in an object store that of its copy here.

    The copy is named by the content hash, so a set that was built again, or moved, is not taken for another.
    Indices are made anew from the tars.

    Raises:
        FileNotFoundError: If the store lacks a tar.
        ValueError: If a tar is not what the manifest says, or a file is named like no file of a set.
    """
    if isinstance(folder, Path):
        return folder
    copy = cache_folder() / "shards" / manifest.content_hash
    with held(copy, "download"):
        missing = [e for e in manifest.shards if not (copy / _plain(e.file)).exists()]
        if missing:
            Console(stderr=True).print(f"Copying {folder} ({len(missing)} tars) to {copy}", highlight=False)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(partial(_download, folder, copy), missing))
    return copy


def _download(folder: Place, copy: Path, entry: ShardEntry) -> None:
    try:
        with (folder / entry.file).open("rb") as remote, written_whole(copy / entry.file) as tar:
            shutil.copyfileobj(remote, tar, 1 << 20)
            tar.seek(0)
            if (found := hashlib.file_digest(tar, "sha256").hexdigest()) != entry.sha256:
                raise ValueError(
                    f"Shard {folder / entry.file} has sha256 {found}, but {entry.sha256} in its manifest. "
                    "Upload it again."
                )
            tar.flush()
            os.fsync(tar.fileno())
            with written_whole(index_path(copy / entry.file)) as index:
                ShardIndex.scan(tar).write(index)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{folder / entry.file} is missing in the store. Upload it again.") from error


def _plain(file: str) -> str:
    if Path(file).name != file:
        raise ValueError(f"A manifest names the shard {file!r}, which is no plain file name.")
    return file
