"""The base of every module that a checkpoint can build again."""

from __future__ import annotations

import functools
import inspect
from abc import ABC
from collections.abc import Callable
from typing import Any

from torch import nn


class Recorded(nn.Module, ABC):
    """A module that remembers what its constructor was given.

    Attributes:
        arguments: Every argument of the outermost constructor by name, defaults filled in, so that a checkpoint keeps
            its meaning when a default changes later.
    """

    arguments: dict[str, Any]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in vars(cls):
            setattr(cls, "__init__", _recording(vars(cls)["__init__"]))  # noqa: B010  mypy refuses the plain form


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    """``init``, noting its arguments unless a subclass's constructor already noted its own."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def recording(self: Recorded, *args: Any, **kwargs: Any) -> None:
        if "arguments" not in vars(self):
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            vars(self)["arguments"] = dict(list(bound.arguments.items())[1:])
        init(self, *args, **kwargs)

    return recording
