"""Check of a build's output folder: no foreign file is overwritten, and no source lies in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from la4vla.construction.finish import NUMBER
from la4vla.data.place import Place
from la4vla.data.readers.base import Reader
from la4vla.data.readers.fingerprint import Fingerprinted
from la4vla.data.shard_index import index_path


def check_apart(folder: Place, reader: Reader) -> None:
    """Refuse a folder that is, holds or lies within the one that ``reader`` reads from.

    Raises:
        ValueError: Naming both, and what to do.
    """
    if not isinstance(folder, Path) or not isinstance(reader, Fingerprinted):
        return
    there, source = folder.resolve(), reader.source.resolve()
    if there == source or there in source.parents or source in there.parents:
        how = "is" if there == source else "holds" if there in source.parents else "lies within"
        raise ValueError(
            f"The sets would be built into {folder}, which {how} the data set {reader.source} they are made from. Give "
            "another folder with folder=..., or call the card by another name."
        )


def check_free(folder: Place, names: Iterable[str]) -> None:
    """Refuse to write the sets ``names`` over tars that somebody else has put into their folders.

    Raises:
        FileExistsError: Naming the first one.
    """
    if not isinstance(folder, Path):
        return
    for name in names:
        for tar in sorted((folder / name).glob(f"{NUMBER}.tar")):
            if not index_path(tar).exists():  # ours have one before they have their name
                raise FileExistsError(
                    f"{tar} is not of la4vla, for it has no index, and would be written over. Move it away, or give "
                    "another folder with folder=..."
                )
