"""The ingredients of a mixture, and whether they go together; reads manifests only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from la4vla.data.manifest import Manifest
from la4vla.data.statistics import merge_domains
from la4vla.schema.differences import differences
from la4vla.schema.statistics import Domain


@dataclass
class Source:
    """One ingredient of a mixture.

    Args:
        shards: Folder of a finished shard set.
        vision: ``visible`` yields frames; ``masked`` yields none, whether or not the set holds any.
        weight: Share of samples relative to the other sources, positive.
    """

    shards: str
    vision: Literal["masked", "visible"]
    weight: float = 1.0


def read_manifest(name: str, source: Source) -> Manifest:
    """The manifest of source ``name``.

    Raises:
        FileNotFoundError: If its folder holds no finished shard set.
        ValueError: If its vision or weight is impossible, or it is visible and has no frames.
    """
    if source.vision not in ("masked", "visible"):
        raise ValueError(f"Source {name}: vision is masked or visible, got {source.vision!r}.")
    if not 0 < source.weight < float("inf"):
        raise ValueError(f"Source {name}: weight must be positive, got {source.weight}. Leave the source out instead.")
    try:
        manifest = Manifest.read(source.shards)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Source {name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"Source {name}: {error}") from error
    if source.vision == "visible" and manifest.domain.view is None:
        raise ValueError(
            f"Source {name} is visible, but {source.shards} holds no frames. "
            "Use vision: masked, or name the twin set that was built with frames."
        )
    return manifest


def merged_domains(sources: dict[str, Source], manifests: dict[str, Manifest]) -> list[Domain]:
    """One domain per embodiment; its view is that of the visible sources, None where all are masked.

    Raises:
        ValueError: If sources of one embodiment define or show it differently.
    """
    groups: dict[str, dict[str, Domain]] = {}
    for name, manifest in manifests.items():
        domain = manifest.domain
        if sources[name].vision == "masked":
            domain = Domain(domain.embodiment, None, domain.proprioception, domain.actions)
        groups.setdefault(domain.embodiment.name, {})[name] = domain
    for embodiment, group in groups.items():
        names = ", ".join(group)
        first, *others = group.values()
        for other in others:
            if other.embodiment != first.embodiment:
                raise ValueError(
                    f"Sources {names} define embodiment {embodiment} differently "
                    f"({differences(first.embodiment, other.embodiment)}). Build them again alike."
                )
        shown = {name: domain.view for name, domain in group.items() if domain.view is not None}
        for name, view in shown.items():
            one, other_view = next(iter(shown.items()))
            if view != other_view:
                raise ValueError(
                    f"Sources {one} and {name} show embodiment {embodiment} through different view profiles "
                    f"({differences(other_view, view)}). Use sets built with one profile."
                )
    return [merge_domains(list(group.values())) for group in groups.values()]


def image_size(sources: dict[str, Source], manifests: dict[str, Manifest]) -> int:
    """Height and width of all images, 0 where every source is masked.

    Raises:
        ValueError: If visible sources have images of several sizes.
    """
    sizes = {
        name: manifest.domain.view.size_px
        for name, manifest in manifests.items()
        if sources[name].vision == "visible" and manifest.domain.view is not None
    }
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} has {size} px" for name, size in sizes.items())
        raise ValueError(f"Images of one batch must have one size, but {listed}. Build the sets at one size.")
    return next(iter(sizes.values()), 0)
