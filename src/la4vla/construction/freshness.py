"""Whether the data that a shard set was made from are still what they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from rich.console import Console

from la4vla.construction.card import Card
from la4vla.construction.export import Export
from la4vla.data.manifest import Manifest
from la4vla.data.origin import Origin
from la4vla.data.place import Place
from la4vla.data.readers.base import Key, Reader
from la4vla.data.readers.fingerprint import Fingerprint, Fingerprinted


class Present:
    """The demonstrations of a card as they lie there now; each is looked at once.

    Args:
        card: The card. A reader that reads no files has nothing to look at.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        self._known: dict[bool, dict[Key, Fingerprint]] = {True: {}, False: {}}

    def origin(self, export: Export) -> Origin | None:
        """What a set made now would be made from."""
        if not isinstance(self.card.reader, Fingerprinted):
            return None
        frames = self._shown(export)
        return Origin.of(self._prints(self.card.reader.keys(export.tasks, export.episodes), frames), frames)

    def names(self, keys: Sequence[Key]) -> list[tuple[str, ...]]:
        """What each of the demonstrations ``keys`` is known by while the card is being built."""
        prints: Sequence[tuple[str, ...]] = self._prints(keys, any(map(self._shown, self.card.exports.values())))
        prints = prints or [()] * len(keys)
        return [(task, str(index), *each) for (task, index), each in zip(keys, prints, strict=True)]

    def _prints(self, keys: Sequence[Key], frames: bool) -> list[Fingerprint]:
        reader, known = self.card.reader, self._known[frames]
        if not isinstance(reader, Fingerprinted):
            return []
        missing = [key for key in keys if key not in known]
        known.update(zip(missing, reader.fingerprints(missing, frames), strict=True))
        return [known[key] for key in keys]

    def _shown(self, export: Export) -> bool:
        segmenter = self.card.segmenter if export.unit == "segment" else None
        return export.frames or (segmenter is not None and segmenter.needs_frames)


def check_source(folder: Place, manifest: Manifest) -> None:
    """Refuse the finished set in ``folder`` where its source is there and is no longer what it was made from.

    A set that says nothing of a source, whose source is not there (shards travel to where training is), or that
    somebody has said to keep, passes.

    Raises:
        ValueError: If demonstrations were added, removed or changed; says which and what to do.
    """
    then = Origin.read(folder) if manifest.source is not None else None
    if then is None or then.kept:
        return
    try:
        reader = _reader(manifest.card["reader"])
    except FileNotFoundError:
        return
    except (ValueError, OSError, ImportError, LookupError, ArgumentError) as error:
        told = " ".join(str(error).split())
        _tell(f"Whether the source of {folder} has changed cannot be told: {told}")
        return
    if isinstance(reader, Fingerprinted) and (changes := _changes(reader, manifest.card["export"], then)):
        raise ValueError(_stale(folder, reader.source, changes))


def _changes(reader: Any, export: Mapping[str, Any], then: Origin) -> str:
    try:
        keys = reader.keys(export["tasks"], export["episodes"])
    except ValueError as error:  # a task of which no demonstration is left
        return str(error).rstrip(".")
    return then.changes(Origin.of(reader.fingerprints(keys, then.frames), then.frames))


def settled(folder: Place, now: Origin, card: Card) -> bool:
    """Whether the finished set in ``folder`` stays, given its source as it is ``now``; the card says what else to do.

    Raises:
        ValueError: If its source has changed and the card does not say.
    """
    then = Origin.read(folder)
    if then is None or not isinstance(card.reader, Fingerprinted) or not (changes := then.changes(now)):
        return True
    if card.source_changed == "rebuild":
        _tell(f"{folder} is made anew; of its source, since it was made: {changes}.")
        return False
    if card.source_changed == "ask" and not then.kept:
        raise ValueError(_stale(folder, card.reader.source, changes))
    _tell(f"{folder} is kept as it was made; of its source, since then: {changes}.")
    if not then.kept:
        replace(then, kept=True).write(folder)
    return True


def _stale(folder: Place, source: Path, changes: str) -> str:
    """The sentence that refuses a set whose source has changed."""
    card = folder.parent.with_name(f"{folder.parent.name}.yaml") if isinstance(folder, Path) else None
    name = card if card is not None and card.is_file() else f"CARD folder={folder.parent}"
    return (
        f"{folder} was made from {source}, of which since then: {changes}. Make it anew with `python -m "
        f"la4vla.construct {name} source_changed=rebuild`, or keep it as it is with source_changed=keep."
    )


def _reader(words: Mapping[str, Any]) -> Any:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--reader", type=Reader)
    return parser.instantiate_classes(parser.parse_object({"reader": dict(words)})).reader


def _tell(line: str) -> None:
    Console(stderr=True, soft_wrap=True).print(line, markup=False, highlight=False)
