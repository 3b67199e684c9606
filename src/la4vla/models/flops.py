"""Model FLOPs: the floating point operations a policy's matrix products take, from its weights and shapes alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn


class Pass(NamedTuple):
    """One run of backbone and head; a batch of samples with and without vision takes several.

    Attributes:
        rows: Samples.
        length: Tokens per sample in the language model, images and padding included.
        images: Images of all samples together.
    """

    rows: int
    length: int
    images: int


@dataclass
class Tally:
    """Operations added up in the order a network runs, with the knowledge of where gradients go.

    A product of ``rows`` tokens and a weight of n entries takes ``2 rows n`` operations forwards, as many backwards if
    the weight learns, and as many again if a gradient has to go on to what came before. Norms, activations, tables and
    what is computed a second time to save memory are not counted, causal attention is counted in full: the convention
    of Chowdhery et al., 2022 (PaLM, arXiv:2204.02311, appendix B).

    Attributes:
        forward: Operations of the forward pass.
        backward: Operations of the backward pass.
        reached: Whether anything before the current place learns, so that a gradient has to come through it.
    """

    forward: float = 0.0
    backward: float = 0.0
    reached: bool = False

    def through(self, rows: int, *modules: nn.Module) -> None:
        """Adds ``modules`` that are all fed ``rows`` tokens by what came before; layers inside one follow each other.

        With 0 rows only what learns in them is noted, as for norms and tables.
        """
        ends = [self._line(rows, module) for module in modules]
        self.reached = self.reached or any(ends)

    def attend(self, pairs: int, width: int, context: bool | None = None) -> None:
        """Adds scores and sums of attention.

        Args:
            pairs: Query and key pairs, over all samples.
            width: Size of all heads together.
            context: Whether a gradient has to reach keys and values; None if they come from where queries do.
        """
        context = self.reached if context is None else context
        product = 2.0 * pairs * width
        self.forward += 2 * product
        self.backward += product * (self.reached + context + (self.reached or context) + context)
        self.reached = self.reached or context

    def add(self, other: Tally) -> None:
        """Adds a side branch that ends here."""
        self.forward += other.forward
        self.backward += other.backward
        self.reached = self.reached or other.reached

    def _line(self, rows: int, module: nn.Module) -> bool:
        reached = self.reached
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                product = 2.0 * rows * _entries(part)
                self.forward += product
                self.backward += product * (part.weight.requires_grad + reached)
            reached = reached or any(parameter.requires_grad for parameter in part.parameters(recurse=False))
        return reached


@runtime_checkable
class Counted(Protocol):
    """A backbone or a head that can say what it costs."""

    def count(self, tally: Tally, run: Pass) -> None:
        """Adds one forward pass (a head's: its loss) to ``tally``."""


@runtime_checkable
class CountedActing(Protocol):
    """A head that can say what a chunk costs."""

    def count_chunk(self, tally: Tally, run: Pass) -> None:
        """Adds the sampling of one chunk per row to ``tally``."""


def step_flops(backbone: nn.Module, head: nn.Module, runs: Iterable[Pass]) -> Tally:
    """What forward and backward pass of a loss take, with the parts that learn now.

    Raises:
        TypeError: If backbone or head cannot say what they cost.
    """
    total = Tally()
    for run in runs:
        one = Tally()
        for module in (backbone, head):
            if not isinstance(module, Counted):
                raise TypeError(f"{type(module).__name__} cannot say what it costs: give it a method `count`.")
            module.count(one, run)
        total.add(one)
    return total


def chunk_flops(backbone: nn.Module, head: nn.Module, run: Pass) -> float:
    """What it takes to sample one chunk for each row of ``run``.

    Raises:
        TypeError: If backbone or head cannot say what they cost.
    """
    if not isinstance(backbone, Counted) or not isinstance(head, CountedActing):
        raise TypeError(
            f"{type(backbone).__name__} needs a method `count` and {type(head).__name__} a method `count_chunk`."
        )
    tally = Tally()
    backbone.count(tally, run)
    head.count_chunk(tally, run)
    return tally.forward


def _entries(part: nn.Linear | nn.Conv2d) -> int:
    """Entries of a weight by its module's sizes, for weights that are spread over processes tell no more of theirs."""
    if isinstance(part, nn.Linear):
        return part.in_features * part.out_features
    return part.out_channels * part.in_channels // part.groups * part.kernel_size[0] * part.kernel_size[1]
