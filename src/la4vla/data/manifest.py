"""The manifest of a shard set: what it holds, how it was made, and that it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from la4vla.data.composition import Composition
from la4vla.data.files import written_whole
from la4vla.data.place import Place, place
from la4vla.schema.statistics import Domain

SCHEMA_VERSION = 2
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class ShardEntry:
    """One tar of a set: its file name, the sha256 of its bytes, and how much it holds."""

    file: str
    sha256: str
    records: int
    steps: int


@dataclass(frozen=True)
class Manifest:
    """Everything about a shard set that is not a sample.

    Args:
        name: Name of the set.
        unit: What one record is: an atomic ``"segment"`` or a whole ``"episode"``.
        domain: Whose numbers these are, with their statistics; its view is None where records hold no frames.
        shards: The tars, in reading order.
        content_hash: sha256 over the shards' sha256 in reading order: equal data, equal hash, whatever the machine.
        phases: Rows of the set's table of construction phases: phase, episodes, frames, frames_per_episode.
        dropped: How many records each filter removed, by reason.
        unusable: A sentence for each demonstration that was left out, or could not be cut.
        composition: What the records are: primitives, directions, tasks and lengths, counted.
        card: The declaration the set was built from.
        source: Digest of the demonstrations it was made from, which ``source.json`` lists; None where they depend on
            the declaration alone.
        schema: Version of the shard format.
    """

    name: str
    unit: Literal["segment", "episode"]
    domain: Domain
    shards: tuple[ShardEntry, ...]
    content_hash: str
    phases: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)
    composition: Composition = field(default_factory=Composition)
    card: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    schema: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """This manifest as plain JSON values."""
        return {
            "schema": self.schema,
            "name": self.name,
            "unit": self.unit,
            "content_hash": self.content_hash,
            "shards": [asdict(entry) for entry in self.shards],
            "phases": self.phases,
            "dropped": self.dropped,
            "unusable": self.unusable,
            "composition": asdict(self.composition),
            "card": self.card,
            "source": self.source,
            "domain": self.domain.to_json(),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Manifest:
        """The inverse of :meth:`to_json`."""
        shards = tuple(ShardEntry(**entry) for entry in fields["shards"])
        composition = Composition(**fields.get("composition", {}))
        domain = Domain.from_json(fields["domain"])
        return cls(**{**fields, "domain": domain, "shards": shards, "composition": composition})

    def write(self, folder: Place) -> None:
        """Write this manifest into ``folder``; the last file of a set, for its presence says the set is complete."""
        with written_whole(folder / MANIFEST_NAME) as file:
            file.write((json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, folder: str | Place) -> Manifest:
        """The manifest of the finished set in ``folder``.

        Raises:
            FileNotFoundError: If there is no such folder, or the set in it was never finished.
            ValueError: If the manifest is damaged or of another schema version.
        """
        path = place(folder) / MANIFEST_NAME
        if not path.parent.is_dir():
            raise FileNotFoundError(f"There is no shard folder {folder}. Build it from its card, or correct the path.")
        if not path.exists():
            raise FileNotFoundError(
                f"{folder} has no {MANIFEST_NAME}, which is written last, so its construction never finished. "
                "Run the construction again."
            )
        try:
            fields = json.loads(path.read_bytes())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not valid JSON ({error}). Build the set again.") from error
        if not isinstance(fields, dict):
            raise ValueError(f"{path} must hold a JSON object, got {type(fields).__name__}. Build the set again.")
        if (schema := fields.get("schema")) != SCHEMA_VERSION:
            raise ValueError(
                f"{path} has shard schema {schema}, this version reads schema {SCHEMA_VERSION}. "
                "Build the set again, or install the version of la4vla that wrote it."
            )
        return cls.from_json(fields)


def content_hash(shards: Sequence[ShardEntry]) -> str:
    """sha256 over the shards' own sha256, in order."""
    return hashlib.sha256("".join(entry.sha256 for entry in shards).encode()).hexdigest()
