"""The demonstrations that a shard set was made from, by fingerprint, and what has become of them since."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from la4vla.data.files import written_whole
from la4vla.data.place import Place
from la4vla.data.readers.fingerprint import Fingerprint, digest_of

ORIGIN_NAME = "source.json"
NAMED = 3


@dataclass(frozen=True)
class Origin:
    """What a set was made from; the file ``source.json`` beside its manifest.

    Args:
        frames: Whether pictures were read as well.
        episodes: Digests of the demonstrations by name.
        kept: Whether somebody has said that the set stays as it is, whatever becomes of its source.
    """

    frames: bool
    episodes: Mapping[str, str]
    kept: bool = False

    @classmethod
    def of(cls, prints: Iterable[Fingerprint], frames: bool) -> Origin:
        """The origin whose demonstrations have the fingerprints ``prints``."""
        return cls(frames, {each.episode: each.digest for each in prints})

    @property
    def digest(self) -> str:
        """Stands for all demonstrations; the manifest keeps it."""
        return digest_of(self.frames, sorted(self.episodes.items()))

    @classmethod
    def read(cls, folder: Place) -> Origin | None:
        """The origin of the set in ``folder``, or None where it does not tell."""
        path = folder / ORIGIN_NAME
        return cls(**json.loads(path.read_bytes())) if path.exists() else None

    def write(self, folder: Place) -> None:
        """Write ``source.json`` into ``folder``."""
        with written_whole(folder / ORIGIN_NAME) as file:
            file.write(json.dumps(asdict(self), indent=0).encode())

    def changes(self, now: Origin) -> str:
        """What is different ``now``, as a sentence's predicate; empty where nothing is.

        A demonstration whose files have been taken away since is none: nothing says that it was corrected.
        """
        added = sorted(now.episodes.keys() - self.episodes.keys())
        removed = sorted(self.episodes.keys() - now.episodes.keys())
        changed = [
            name
            for name, digest in now.episodes.items()
            if digest and self.episodes.get(name, digest) != digest  # empty: its files are not there
        ]
        told = [
            f"{len(names)} {'episode' if len(names) == 1 else 'episodes'} {what} ({_listed(names)})"
            for names, what in ((added, "added"), (removed, "removed"), (changed, "changed, or in a file that was"))
            if names
        ]
        return ", ".join(told)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
