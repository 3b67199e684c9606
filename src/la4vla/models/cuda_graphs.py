"""Acting without a launch per operation: what a policy asks of a GPU is recorded once and then replayed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from la4vla.models.policy import Policy

RECORDS = 16


def replay_graphs(policy: Policy) -> None:
    """Has vision, language layers and integration of ``policy`` replay CUDA graphs wherever no gradient is asked for.

    At batch 1 a chunk takes thousands of small operations, and to launch one costs more than to run it. The graph runs
    the same kernels, so answers stay what they were. Each new shape (of images, prompt or batch) is recorded when it
    first comes, which takes about a second; the last 16 shapes are kept, with the memory they work in.

    Do this last: weights may change afterwards, but not move to another device or precision. On a CPU and in training
    nothing changes.
    """
    for part in (policy.backbone, policy.head):
        for name in part.replayable:
            setattr(part, name, Replayed(getattr(part, name)))


class _Record(NamedTuple):
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor | None]
    answer: Tensor


class Replayed:
    """A function of tensors that is recorded once per shape of its arguments.

    Args:
        function: Takes tensors or None, answers one tensor, and neither waits for the device nor draws random numbers.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self._records: OrderedDict[Hashable, _Record] = OrderedDict()

    def __call__(self, *arguments: Tensor | None) -> Tensor:
        """The function's answer."""
        if torch.is_grad_enabled() or not all(given is None or given.is_cuda for given in arguments):
            return self.function(*arguments)
        shapes = tuple(None if given is None else (given.shape, given.dtype, given.device) for given in arguments)
        key = (shapes, torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda"))
        record = self._records.pop(key, None) or self._record(arguments)
        self._records[key] = record
        if len(self._records) > RECORDS:
            self._records.popitem(last=False)
        for place, given in zip(record.inputs, arguments, strict=True):
            if place is not None and given is not None:
                place.copy_(given)
        record.graph.replay()
        return record.answer.clone()

    def _record(self, arguments: tuple[Tensor | None, ...]) -> _Record:
        inputs = [None if given is None else given.clone() for given in arguments]
        graph = torch.cuda.CUDAGraph()
        # A cast that autocast remembers would live outside of the graph, and no longer than its context.
        with torch.autocast(
            "cuda", torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda"), cache_enabled=False
        ):
            self.function(*inputs)  # libraries set themselves up at their first use, which no graph may hold
            with torch.cuda.graph(graph):
                answer = self.function(*inputs)
        return _Record(graph, inputs, answer)

    def __getstate__(self) -> dict[str, Any]:
        """A copy records for itself."""
        return {"function": self.function, "_records": OrderedDict()}
