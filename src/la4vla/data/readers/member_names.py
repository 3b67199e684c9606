"""Names of cameras and tasks, which become parts of names of files inside shards."""

from __future__ import annotations

import re
from collections.abc import Iterable

from la4vla.data.record import NAME

FOREIGN = re.compile(r"[^\w+=@-]")


def as_member_name(text: str) -> str:
    """``text`` with an underscore for every blank, dot, slash or other sign that a name cannot hold."""
    return FOREIGN.sub("_", text) or "unnamed"


def check_camera_names(names: Iterable[str]) -> None:
    """Check that shards can hold frames under these names.

    Raises:
        ValueError: If one holds a blank, a dot, a slash or the like.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name that shards can give to a camera: use letters, digits and _-+=@ only, for "
                f"example {as_member_name(name)!r}."
            )
