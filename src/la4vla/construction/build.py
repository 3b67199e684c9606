"""Building the shard sets of a card: in parallel, resumable, the same bytes whatever the number of processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import la4vla
from la4vla.construction.build_progress import BuildProgress
from la4vla.construction.card import Card, Declaration, read_card
from la4vla.construction.data_card import write_data_card
from la4vla.construction.data_check import Evidence
from la4vla.construction.destination import check_apart, check_free
from la4vla.construction.export import Export
from la4vla.construction.finish import finish_set
from la4vla.construction.freshness import Present, check_source, settled
from la4vla.construction.group import PROGRESS, Report, build_group
from la4vla.data.hold import held
from la4vla.data.manifest import MANIFEST_NAME, Manifest
from la4vla.data.origin import Origin
from la4vla.data.place import Place, place, remove_tree
from la4vla.data.readers.base import Key
from la4vla.data.shard_cache import cache_folder


def ensure_built(folder: str | Place) -> None:
    """Build the shard set ``folder`` from the card beside its parent where it is not finished.

    ``shards/metaworld/la`` belongs to the card ``shards/metaworld.yaml``, as its export ``la``. Sets of the card that
    share demonstrations with it are written in the same pass; the others wait until somebody wants them.

    Raises:
        FileNotFoundError: If the set is not finished and there is no such card.
        ValueError: If the card has no such export, it waits for ratings, or what a finished set was made from has
            changed since.
    """
    folder = place(folder)
    if (folder / MANIFEST_NAME).exists():
        check_source(folder, Manifest.read(folder))
        return
    if not isinstance(folder, Path):
        raise FileNotFoundError(
            f"{folder} holds no finished shard set. Build it with la4vla.construct CARD folder={folder.parent}."
        )
    path = folder.parent.with_name(f"{folder.parent.name}.yaml")
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no finished shard set, and there is no card {path} to build it from.")
    declaration = read_card([str(path)])
    if folder.name in declaration.waiting:
        raise ValueError(declaration.waiting[folder.name])
    if folder.name not in declaration.card.exports:
        exports = ", ".join(declaration.card.exports)
        raise ValueError(f"The card {path} has no export {folder.name!r}; its exports are {exports}.")
    build(declaration, _companions(declaration.card, folder.name))


def build(declaration: Declaration, wanted: Collection[str] | None = None) -> dict[str, Manifest]:
    """Build the exports of a card that are not finished, all or the ``wanted`` ones, and return their manifests.

    Where several processes ask at once, one builds and the others wait for it. Groups that an interrupted build of the
    same card finished are not built again.

    Raises:
        ValueError: If a finished set was built from another declaration, or from demonstrations that have changed
            since; if they change while they are read; or if the folder holds, is or lies within their source.
        OSError: If the disk fills up, a worker dies, or somebody else's tars are in the way.
    """
    card, folder = declaration.card, declaration.folder
    exports = {name: export for name, export in card.exports.items() if wanted is None or name in wanted}
    declared = {name: _declared(declaration, name) for name in exports}
    check_apart(folder, card.reader)
    with held(folder if isinstance(folder, Path) else cache_folder() / "builds" / _slug(folder)):
        present = Present(card)
        origins = {name: present.origin(export) for name, export in exports.items()}
        finished = {
            name: manifest
            for name in exports
            if (manifest := _finished(folder / name, declared[name], origins[name], card)) is not None
        }
        pending = {name: export for name, export in exports.items() if name not in finished}
        if pending:
            check_free(folder, pending)
            reports = _build_groups(declaration, pending, present)
            _check_still(card, pending, origins)
            for name, export in pending.items():
                finished[name] = finish_set(card, folder / name, name, export, reports, declared[name], origins[name])
        _forget(folder)
        there = {name: m for name in card.exports if (m := finished.get(name) or _present(folder / name)) is not None}
        write_data_card(folder, there, card.license)
    return {name: finished[name] for name in exports}


def _forget(folder: Place) -> None:
    """Drop the reports of groups whose sets are all finished."""
    progress = folder / PROGRESS
    for path in progress.glob("*.json"):
        if all((folder / name / MANIFEST_NAME).exists() for name in json.loads(path.read_bytes())["shards"]):
            path.unlink()
    if not any(progress.glob("*.json")):
        remove_tree(progress)


def _companions(card: Card, name: str) -> list[str]:
    """The exports that share demonstrations with export ``name``, itself among them."""
    members = _groups(card)[1]
    return [other for other, keys in members.items() if not keys.isdisjoint(members[name])]


def _slug(folder: Place) -> str:
    """A file name for the lock of a build into an object store, which holds on this machine only."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _declared(declaration: Declaration, name: str) -> dict[str, Any]:
    """What the set ``name`` depends on, as plain JSON values."""
    words = {k: v for k, v in declaration.words.items() if k != "exports"}
    plain: dict[str, Any] = json.loads(json.dumps({**words, "export": declaration.words["exports"][name]}))
    return plain


def _finished(folder: Place, declared: Mapping[str, Any], now: Origin | None, card: Card) -> Manifest | None:
    if not (folder / MANIFEST_NAME).exists():
        return None
    manifest = Manifest.read(folder)
    differing = sorted(_differences(manifest.card, declared))
    if differing:
        raise ValueError(
            f"{folder} is finished, but was built from another declaration ({'; '.join(differing[:4])}). "
            "Remove that folder to build it anew, or build elsewhere with folder=..."
        )
    if now is not None and not settled(folder, now, card):
        (folder / MANIFEST_NAME).unlink()
        return None
    return manifest


def _present(folder: Place) -> Manifest | None:
    """The manifest of a set that nobody asked for, if it is finished and of this version."""
    try:
        return Manifest.read(folder)
    except (FileNotFoundError, ValueError):
        return None


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
    elif old != new:
        yield f"{key}: {old} there, {new} now"


def _check_still(card: Card, pending: Mapping[str, Export], origins: Mapping[str, Origin | None]) -> None:
    """Refuse to finish sets whose demonstrations changed while they were read."""
    present = Present(card)
    for name, export in pending.items():
        then, now = origins[name], present.origin(export)
        if then is not None and now is not None and (changes := then.changes(now)):
            raise ValueError(
                f"The demonstrations of {name} changed while they were read: {changes}. Run the same command again "
                "when nobody writes to them; only what is no longer the same is built again."
            )


def _build_groups(declaration: Declaration, pending: Mapping[str, Export], present: Present) -> list[Report]:
    """Build the groups that are missing and return the reports of all, in order."""
    card, folder = declaration.card, declaration.folder
    groups, members = _groups(card)
    words = json.dumps([declaration.words, la4vla.__version__], sort_keys=True)
    digests = [hashlib.sha256(f"{words}{present.names(keys)}".encode()).hexdigest() for keys in groups]
    needed = [n for n, keys in enumerate(groups) if any(not members[name].isdisjoint(keys) for name in pending)]
    reports: dict[int, Report] = {}
    for number in needed:
        report = Report.read(folder, number)
        if report and report.declaration == digests[number] and report.holds(folder, pending):
            reports[number] = report
    jobs = {
        number: partial(build_group, card, pending, _within(members, keys), number, keys, folder, digests[number])
        for number, keys in enumerate(groups)
        if number in needed and number not in reports
    }
    total, done = (sum(len(groups[n]) for n in numbers) for numbers in (needed, reports))
    with BuildProgress(str(folder), total, done) as progress:
        for number, report in card.builders.run(jobs):
            reports[number] = report
            progress.advance(len(groups[number]), sum(r.failed for r in reports.values()))
    evidence = (Evidence.from_json(reports[number].evidence) for number in needed)
    card.examine(sum(evidence, Evidence.none()))
    return [reports[number] for number in needed]


def _groups(card: Card) -> tuple[list[list[Key]], dict[str, frozenset[Key]]]:
    """The demonstrations of every shard group, and those of every export, finished or not."""
    members = {name: frozenset(card.reader.keys(e.tasks, e.episodes)) for name, e in card.exports.items()}
    wanted = frozenset[Key]().union(*members.values())
    keys = [key for key in card.reader.keys() if key in wanted]
    size = card.episodes_per_shard
    return [keys[i : i + size] for i in range(0, len(keys), size)], members


def _within(members: Mapping[str, frozenset[Key]], keys: Sequence[Key]) -> dict[str, frozenset[Key]]:
    """What a job needs to know of ``members``; all of them would weigh more than its work in a large data set."""
    return {name: those.intersection(keys) for name, those in members.items()}
