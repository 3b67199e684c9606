"""What a backbone owes to the rest of a policy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from la4vla.models.recorded import Recorded
from la4vla.schema.batch import Batch


class Tokens(NamedTuple):
    """What a head may look at.

    Attributes:
        embeddings: ``(B, L, D)``.
        mask: ``(B, L)`` bool: False on padding and on masked image positions; heads never look there.
        image: ``(B, L)`` bool: True on the tokens of visible images, always inside ``mask``.
        layers: Per kept layer ``(B, L, D)``, for heads that read every layer; None where nobody asked.
    """

    embeddings: Tensor
    mask: Tensor
    image: Tensor
    layers: tuple[Tensor, ...] | None = None


class Backbone(Recorded):
    """Images and instructions in, :class:`Tokens` out.

    Attributes:
        width: ``D``, the size of one token.
        views: Most views per sample.
        replayable: Its methods whose answer takes tensors alone; see :mod:`la4vla.models.cuda_graphs`.
    """

    replayable: tuple[str, ...] = ()
    width: int
    views: int

    @abstractmethod
    def forward(self, batch: Batch) -> Tokens:
        """The tokens of ``batch``; a masked view (``image_index`` -1) leaves no trace of pixels in them."""

    def check_instruction(self, instruction: str) -> None:
        """Raise if ``instruction`` cannot be read; a backbone that reads every text has nothing to add.

        Raises:
            ValueError: If it is too long, or holds a word with a meaning of its own.
        """

    @abstractmethod
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each in exactly one part: ``vision``, ``embeddings``, ``language``."""

    @abstractmethod
    def save_structure(self, folder: Path) -> None:
        """Writes what :meth:`rebuild` needs beside the constructor's arguments (tokenizer, published sizes)."""

    @classmethod
    @abstractmethod
    def rebuild(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """The saved structure with weights yet to be loaded; never reaches for a hub."""
