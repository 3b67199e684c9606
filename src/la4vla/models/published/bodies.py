"""Robots and views, which a published checkpoint does not name."""

from __future__ import annotations

from pathlib import Path

import yaml

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import ViewProfile


def body(name: str | None, view: str | None = None) -> tuple[Embodiment, ViewProfile | None]:
    """The robot and the view that ``name`` stands for.

    Args:
        name: ``metaworld``, or a YAML or JSON file with the keys ``embodiment`` and ``view`` and, below them, the
            fields of those two classes; ``view: null`` is a policy without images.
        view: Which of Meta-World's views, by default that of the official client; a file names its own.

    Raises:
        ValueError: If nothing is named, or what is named does not describe a robot and a view.
    """
    if name is None:
        raise ValueError("A published checkpoint names no robot: give embodiment=metaworld or embodiment=FILE.yaml.")
    if name == "metaworld":
        return _metaworld(view or "evo1")
    if view is not None:
        raise ValueError(f"view={view} chooses among Meta-World's views; {name} describes its own.")
    return _read(Path(name))


def _metaworld(view: str) -> tuple[Embodiment, ViewProfile]:
    # The simulator is an extra that nobody else needs.
    from la4vla.simulators.metaworld import METAWORLD, VIEWS

    if view not in VIEWS:
        raise ValueError(f"view={view} is none of Meta-World's: choose from {sorted(VIEWS)}.")
    return METAWORLD, VIEWS[view]


def _read(path: Path) -> tuple[Embodiment, ViewProfile | None]:
    if not path.is_file():
        raise ValueError(f"embodiment={path} is neither 'metaworld' nor a file that describes one.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict) or content.keys() != {"embodiment", "view"}:
        raise ValueError(f"{path} must have the two keys embodiment and view; view: null is a policy without images.")
    try:
        view = None if content["view"] is None else ViewProfile.from_json(content["view"])
        return Embodiment.from_json(content["embodiment"]), view
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not describe an embodiment and its view: {error}.") from error
