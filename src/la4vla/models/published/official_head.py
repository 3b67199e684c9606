"""The flow-matching head exactly as the official code runs it."""

from __future__ import annotations

import torch
from torch import Tensor

from la4vla.models.heads.cross_attention import Context
from la4vla.models.heads.flow_matching import TIMES, FlowMatchingHead
from la4vla.schema.batch import Batch


class OfficialFlowMatchingHead(FlowMatchingHead):
    """:class:`FlowMatchingHead` with the three habits of the official code that the corrected one has not.

    The two sinusoidal tables are weights, since checkpoints trained in bfloat16 carry rounded ones. Flow time t looks
    up row ``floor(t * time_scale)``. In the loss the steps beyond an episode's end count like all others: they repeat
    its last action, and the mask covers dimensions alone.

    Args:
        width: As in :class:`FlowMatchingHead`, like all that is not explained here.
        horizon: Steps per chunk.
        action_dim: Dimensions per step.
        proprioception_dim: Dimensions of proprioception.
        layers: Number of blocks.
        heads: Attention heads.
        hidden: Inner width of two MLPs.
        feedforward: Inner width of a block's MLP, as a multiple of ``width``.
        dropout: Dropout of attention probabilities.
        integration_steps: Euler steps per chunk. The lookup equals the official one in every bit for the 32 steps of
            the official servers; for others float32 may round t across the border of two rows.
        time_scale: 999 in LA4VLA and Evo-1's faster branch, 1000 in Evo-1's main branch.
    """

    decisive = ("heads", "time_scale")

    def __init__(
        self,
        width: int,
        horizon: int = 50,
        action_dim: int = 24,
        proprioception_dim: int = 24,
        layers: int = 8,
        heads: int = 8,
        hidden: int = 1024,
        feedforward: int = 4,
        dropout: float = 0.2,
        integration_steps: int = 32,
        time_scale: int = 999,
    ) -> None:
        super().__init__(
            width, horizon, action_dim, proprioception_dim, layers, heads, hidden, feedforward, dropout,
            integration_steps,
        )  # fmt: skip
        self.time_scale = time_scale
        self.register_buffer("times", self.times)
        self.register_buffer("steps", self.steps)

    def _predict(self, x: Tensor, time: Tensor, context: Context) -> Tensor:
        row = (time * self.time_scale).long().clamp(max=TIMES - 1)
        # The middle of the row's interval, so that the lookup that follows can only find this row.
        return super()._predict(x, (row + 0.5) / (TIMES - 1), context)

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        actions, mask, draw = super()._targets(batch)
        last = mask.any(2).sum(1) - 1
        step = torch.minimum(torch.arange(self.horizon, device=last.device), last[:, None])
        actions = actions.gather(1, step[..., None].expand_as(actions))
        return actions, mask.any(1, keepdim=True).expand_as(mask), draw
