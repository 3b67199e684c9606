"""What a head owes to the rest of a policy."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from la4vla.models.backbones.base import Tokens
from la4vla.models.recorded import Recorded
from la4vla.schema.batch import Batch


class Head(Recorded):
    """Tokens in, one loss per sample out.

    Attributes:
        proprioception_dim: Dimensions ``S`` it receives, normalised and zero-padded.
        decisive: Names of arguments on which it depends what its weights compute, though not their shapes. Heads that
            differ in one of them cannot inherit.
        reads_instructions: Whether it looks at the tokens of instructions; if not, the backbone is spared them.
        replayable: Its methods whose answer takes tensors alone; see :mod:`la4vla.models.cuda_graphs`.
    """

    replayable: tuple[str, ...] = ()
    proprioception_dim: int
    decisive: tuple[str, ...] = ("heads",)
    reads_instructions: bool = True

    @abstractmethod
    def loss(self, tokens: Tokens, batch: Batch) -> Tensor:
        """``(B,)`` float32: per sample, the mean over its valid entries; ``batch`` holds normalised numbers."""


class ActionHead(Head):
    """A head that acts.

    Attributes:
        horizon: ``H``, steps in a chunk.
        action_dim: Dimensions ``A`` per step it works on, the embodiment's own and padding.
    """

    horizon: int
    action_dim: int

    @abstractmethod
    def sample(self, tokens: Tokens, batch: Batch, *, noise: Tensor | None = None) -> Tensor:
        """A normalised chunk ``(B, H, A)``, zero where ``batch.action_mask`` is False.

        Args:
            tokens: The backbone's answer to ``batch``.
            batch: Normalised; ``action_mask`` None means every dimension counts.
            noise: ``(B, H, A)`` overrides what would be drawn from ``batch.draw`` or, without that, from torch's
                generator. Heads without randomness ignore it.
        """
