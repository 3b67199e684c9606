"""The data card: what a folder of shard sets holds, for people, written beside the sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from la4vla.construction.composition_plot import plot_composition
from la4vla.construction.outliers import outlier_sentences
from la4vla.data.composition import Composition
from la4vla.data.files import written_whole
from la4vla.data.manifest import Manifest
from la4vla.data.place import Place
from la4vla.data.shards import Shards
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.primitives import DEFINITIONS, Primitive
from la4vla.schema.statistics import Domain

NAME = "README.md"
# Where somebody else's README.md is there.
OTHER_NAME = "DATA_CARD.md"
OURS = "<!-- la4vla.construct writes this file anew; without this line it leaves it alone. -->"
SENTENCES = 5


def write_data_card(folder: Place, manifests: Mapping[str, Manifest], licence: str | None) -> None:
    """Write ``README.md`` and its pictures into ``folder``, from the manifests of its sets; no frame is looked at.

    Equal sets give equal bytes. Nothing is drawn where the card is there already and would not change. A ``README.md``
    that is somebody else's stays; the card is ``DATA_CARD.md`` then.

    Args:
        folder: Parent of the sets.
        manifests: By name, those of all sets that are finished.
        licence: Under which the data may be used, or None where nobody has said.
    """
    twins = _twins(folder, manifests)
    text = "\n\n".join(_sections(folder.name, manifests, twins, licence)) + "\n"
    path, pictures = card_place(folder), {names: folder / _picture(names) for names in twins}
    before = path.read_bytes().decode(errors="replace") if path.exists() else ""
    if before == text and all(p.exists() for p in pictures.values()):
        return
    for stale in folder.glob("composition_*.png"):
        if stale.name not in {picture.name for picture in pictures.values()} and f"({stale.name})" in before:
            stale.unlink()
    for names, (composition, domain) in twins.items():
        image = plot_composition(composition, domain.embodiment.control_hz, f"{folder.name}: {', '.join(names)}")
        with written_whole(pictures[names]) as file:
            file.write(image)
    with written_whole(path) as file:
        file.write(text.encode())


def card_place(folder: Place) -> Place:
    """Path of the data card of ``folder``, written or to be written."""
    path = folder / NAME
    ours = not path.exists() or OURS in path.read_bytes().decode(errors="replace")
    return path if ours else folder / OTHER_NAME


Twins = dict[tuple[str, ...], tuple[Composition, Domain]]


def _twins(folder: Place, manifests: Mapping[str, Manifest]) -> Twins:
    """Sets by equal composition, since an LA set and its VLA twin need no two pictures."""
    found: list[tuple[list[str], Composition, Domain]] = []
    for name, manifest in manifests.items():
        composition = _composition(folder / name, manifest)
        if not composition.lengths:
            continue
        for names, known, _ in found:
            if known == composition:
                names.append(name)
                break
        else:
            found.append(([name], composition, manifest.domain))
    return {tuple(names): (composition, domain) for names, composition, domain in found}


def _composition(folder: Place, manifest: Manifest) -> Composition:
    """The composition of a set; counted anew where it was built before manifests held it."""
    if manifest.composition.lengths or not isinstance(folder, Path):
        return manifest.composition
    shards = Shards(folder, manifest)
    return Composition() + Composition.of(zip(shards.records, np.diff(shards.starts).tolist(), strict=True))


def _picture(names: Sequence[str]) -> str:
    return f"composition_{names[0]}.png"


def _sections(name: str, manifests: Mapping[str, Manifest], twins: Twins, licence: str | None) -> Iterable[str]:
    yield f"{_front_matter(licence)}\n\n{OURS}"
    yield f"# {name}"
    yield (
        "Language-action data: demonstrations as shard sets, to be read with `la4vla.data.shards.Shards` or any "
        "WebDataset reader. An LA set holds instructions, proprioception and actions; a VLA set frames as well."
    )
    yield _sets(manifests)
    yield "## How it came about"
    for names, phases in _grouped({n: m.phases for n, m in manifests.items()}):
        yield f"{_listed(names)}:"
        yield _table(
            ("processing phase", "episodes", "frames", "frames / ep."),
            [(p["phase"], f"{p['episodes']:,}", f"{p['frames']:,}", f"{p['frames_per_episode']:.2f}") for p in phases],
        )
    yield "## What it holds"
    for twin, (composition, _) in twins.items():
        yield f"![Composition of {', '.join(twin)}]({_picture(twin)})"
        if composition.primitives:
            yield _primitives(composition)
    yield "## Left out"
    yield from _left_out(manifests)
    for domain in {m.domain.embodiment.name: m.domain for m in manifests.values()}.values():
        yield from _body(domain)
        sets = [m.domain for m in manifests.values() if m.domain.embodiment.name == domain.embodiment.name]
        if sentences := outlier_sentences(sets):
            yield "Ranges that a few values stretch:\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)
    yield from _views(manifests)
    yield "## Licence"
    yield licence or "Not stated. Whoever passes this data on has to find out, and say so in the card: `license: ...`."
    yield "## Settings"
    yield from _settings(manifests)


def _front_matter(licence: str | None) -> str:
    facts: dict[str, Any] = {"task_categories": ["robotics"], "tags": ["la4vla", "language-action", "webdataset"]}
    if licence:
        facts = {"license": licence, **facts}
    return f"---\n{yaml.safe_dump(facts, sort_keys=False)}---"


def _sets(manifests: Mapping[str, Manifest]) -> str:
    rows = []
    for name, manifest in manifests.items():
        steps = sum(entry.steps for entry in manifest.shards)
        records = sum(entry.records for entry in manifest.shards)
        hours = f"{steps / manifest.domain.embodiment.control_hz / 3600:.2f}"
        frames = f"`{manifest.domain.view.name}`" if manifest.domain.view else "none"
        content = f"`{manifest.content_hash}`"
        rows.append((f"`{name}`", manifest.unit, frames, f"{records:,}", f"{steps:,}", hours, content))
    return _table(("set", "a record is", "frames", "records", "steps", "hours", "content hash (sha256)"), rows)


def _primitives(composition: Composition) -> str:
    total = max(sum(composition.primitives.values()), 1)
    rows = [
        (
            str(primitive),
            str(DEFINITIONS[primitive].context),
            f"{count:,}",
            f"{100 * count / total:.1f} %",
            f"{composition.primitive_steps[primitive] / count:.1f}",
        )
        for primitive in Primitive
        if (count := composition.primitives.get(primitive, 0))
    ]
    return _table(("atomic action", "context", "segments", "share", "steps / segment"), rows)


def _left_out(manifests: Mapping[str, Manifest]) -> Iterable[str]:
    reasons = sorted({reason for manifest in manifests.values() for reason in manifest.dropped})
    if reasons:
        rows = [(reason, *(f"{m.dropped.get(reason, 0):,}" for m in manifests.values())) for reason in reasons]
        yield _table(("reason", *(f"`{name}`" for name in manifests)), rows)
    else:
        yield "Nothing was dropped."
    sentences = list(dict.fromkeys(s for manifest in manifests.values() for s in manifest.unusable))
    if sentences:
        rest = len(sentences) - SENTENCES
        more = f" Of the others, {rest:,}, the manifests tell." if rest > 0 else ""
        yield f"Demonstrations that could not be used: {len(sentences):,}.{more}"
        yield "\n".join(f"- {sentence}" for sentence in sentences[:SENTENCES])


def _body(domain: Domain) -> Iterable[str]:
    body = domain.embodiment
    yield f"## Body: {body.name}"
    yield (
        f"{body.control_hz:g} steps per second. Names bear units; {_frame(body)}. Ranges are those of the first set."
    )
    for title, names, statistics in (
        ("proprioception", body.proprioception, domain.proprioception),
        ("action", body.actions, domain.actions),
    ):
        columns = (statistics.minimum, statistics.q01, statistics.mean, statistics.q99, statistics.maximum)
        rows = [(f"`{n}`", *(f"{column[i]:.4g}" for column in columns)) for i, n in enumerate(names)]
        yield _table((title, "minimum", "1 %", "mean", "99 %", "maximum"), rows)
    if body.gripper is not None:
        yield (
            f"The gripper's opening is `{body.proprioception[body.gripper]}`: "
            f"{_ends(body.gripper_open, body.gripper_closed)}."
        )
    if body.gripper_action is not None:
        yield (
            f"The gripper's command is `{body.actions[body.gripper_action]}`: "
            f"{_ends(body.gripper_action_open, body.gripper_action_closed)}."
        )


def _frame(body: Embodiment) -> str:
    """Clause on the directions forward, left and up."""
    if body.forward is None or body.left is None or body.up is None:
        return "where forward, left and up are is not recorded"
    axes = f"forward is {list(body.forward)}, left {list(body.left)}, up {list(body.up)}"
    return f"{axes} in the frame of the position"


def _ends(opened: float | None, closed: float | None) -> str:
    if opened is None or closed is None:
        return "which end is open is not recorded"
    return f"{opened:g} is open, {closed:g} closed"


def _views(manifests: Mapping[str, Manifest]) -> Iterable[str]:
    views = {m.domain.view.name: m.domain.view for m in manifests.values() if m.domain.view is not None}
    for name, view in views.items():
        yield f"## View: {name}"
        yield _yaml(view.to_json())


def _settings(manifests: Mapping[str, Manifest]) -> Iterable[str]:
    declared = {n: {k: v for k, v in m.card.items() if k != "export"} for n, m in manifests.items()}
    for names, words in _grouped(declared):
        yield f"{_listed(names)}:"
        yield _yaml({**words, "exports": {name: manifests[name].card.get("export") for name in names}})


def _grouped(values: Mapping[str, Any]) -> list[tuple[list[str], Any]]:
    """Names that have equal values, together."""
    groups: list[tuple[list[str], Any]] = []
    for name, value in values.items():
        for names, known in groups:
            if known == value:
                names.append(name)
                break
        else:
            groups.append(([name], value))
    return groups


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _yaml(value: Any) -> str:
    return f"```yaml\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)}```"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is words and whose others are numbers, as far as they look it."""
    numeric = [all(row[i][:1].isdigit() or row[i][:1] == "-" for row in rows) for i in range(len(head))]
    lines = [head, ["---:" if number else "---" for number in numeric], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
