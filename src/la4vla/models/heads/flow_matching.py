"""The flow-matching action head of LA4VLA: cross-attention blocks that predict one velocity for the whole chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from la4vla.models.backbones.base import Tokens
from la4vla.models.flops import Pass, Tally
from la4vla.models.heads.base import ActionHead
from la4vla.models.heads.cross_attention import Block, Context
from la4vla.models.heads.draws import beta, uniforms
from la4vla.models.heads.sinusoids import sinusoids
from la4vla.schema.batch import Batch

TIMES = 1000


class FlowMatchingHead(ActionHead):
    """Learns the velocity that carries uniform noise to actions along straight lines.

    Flow time runs from t = 0 (noise) to t = 1 (action): ``x_t = (1 - t) x_0 + t a``, target ``v = a - x_0``, with
    ``x_0 ~ U[-1, 1]`` and ``t ~ Beta`` (LA4VLA, section 3; Evo-1). Chunks come from Euler steps of size 1 / N.

    Where the last steps of a chunk are padding, ``x_t`` takes the action there as 0, the middle of the normalised
    range: ``x_t = (1 - t) x_0``. The pooling layer mixes steps, so what stands there matters. At inference every step
    carries noise of the level that belongs to t, thus so it does in training; only the signal, which nobody knows
    beyond an episode's end, is missing. The padded values themselves reach neither input nor loss.

    With ``predicts="actions"`` the network's output is the chunk, from which the velocity follows:
    ``v = (a - x_t) / (1 - t)``. Then the noise need not be carried through the pooling layer to be subtracted, and a
    small head learns several times faster. The loss is the chunk's squared error, the velocity's times ``(1 - t)^2``
    (Salimans and Ho, 2022, arXiv:2202.00512, section 4), which has the same minimum at every t.

    Args:
        width: Width of the backbone's tokens, and of this head.
        horizon: Steps ``H`` in a chunk.
        action_dim: Dimensions ``A`` per step, padding included.
        proprioception_dim: Dimensions ``S``, padding included.
        layers: Number of blocks.
        heads: Attention heads; must divide ``width``.
        hidden: Inner width of the proprioception and the output MLP.
        feedforward: Inner width of a block's MLP, as a multiple of ``width``.
        dropout: Dropout of attention probabilities, drawn from torch's own generator: the one thing in a loss that
            is not a function of the sample alone.
        integration_steps: Euler steps ``N`` per chunk.
        time_alpha: First parameter of t's Beta distribution, a positive integer.
        time_beta: Second parameter, a positive integer.
        time_min: Training times are clamped from below to this.
        time_max: Training times are clamped from above to this.
        predicts: What the network puts out: the ``velocity``, as in the published checkpoints, or the ``actions``.
        recompute: Whether blocks run again in the backward pass instead of keeping what they computed: less memory for
            more time, the same gradients, and the same dropout.

    Raises:
        ValueError: If a size or count is below 1, or the times are no range inside [0, 1].
    """

    replayable = ("integrate",)
    decisive = ("heads", "predicts")
    blocks: Sequence[Block]
    times: Tensor
    steps: Tensor

    def __init__(
        self,
        width: int,
        horizon: int = 16,
        action_dim: int = 24,
        proprioception_dim: int = 24,
        layers: int = 8,
        heads: int = 8,
        hidden: int = 1024,
        feedforward: int = 4,
        dropout: float = 0.2,
        integration_steps: int = 32,
        time_alpha: int = 2,
        time_beta: int = 2,
        time_min: float = 0.02,
        time_max: float = 0.98,
        predicts: Literal["velocity", "actions"] = "velocity",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if min(horizon, action_dim, integration_steps, time_alpha, time_beta) < 1:
            raise ValueError(
                "horizon, action_dim, integration_steps, time_alpha and time_beta are at least 1, "
                f"got {horizon}, {action_dim}, {integration_steps}, {time_alpha} and {time_beta}."
            )
        if not 0 <= time_min <= time_max <= 1:
            raise ValueError(f"0 <= time_min <= time_max <= 1 must hold, got {time_min} and {time_max}.")
        self.predicts, self.recompute = predicts, recompute
        self.horizon, self.action_dim, self.proprioception_dim = horizon, action_dim, proprioception_dim
        self.integration_steps = integration_steps
        self.time_alpha, self.time_beta, self.time_range = time_alpha, time_beta, (time_min, time_max)
        self.proprioception = nn.Sequential(nn.Linear(proprioception_dim, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.action_in = nn.Linear(action_dim, width)
        # A chunk of one step needs neither a place in the chunk nor pooling.
        self.action_mix = None if horizon == 1 else nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )  # fmt: skip
        blocks = [Block(width, heads, feedforward * width, dropout) for _ in range(layers)]
        self.blocks = cast("Sequence[Block]", nn.ModuleList(blocks))
        self.norm = nn.LayerNorm(width)
        self.pool = None if horizon == 1 else nn.Linear(horizon * width, width)
        self.out = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, horizon * action_dim))
        self.register_buffer("times", sinusoids(TIMES, width), persistent=False)
        self.register_buffer("steps", sinusoids(horizon, width), persistent=False)

    def loss(self, tokens: Tokens, batch: Batch) -> Tensor:
        """``(B,)`` float32: mean squared error of what the head predicts, over each sample's valid entries.

        Raises:
            ValueError: If ``batch`` has no actions, mask or draws, or another horizon.
        """
        actions, mask, draw = self._targets(batch)
        order = self.time_alpha + self.time_beta - 1
        unit = uniforms(draw, order + self.horizon * self.action_dim).to(actions.device)
        time = beta(unit[:, :order], self.time_alpha).clamp(*self.time_range)
        noise = self._noise(unit[:, order:], mask)
        actions = torch.where(mask, actions, 0.0)
        moment = torch.lerp(noise, actions, time[:, None, None])
        predicted = self._predict(moment, time, self.context(tokens, batch)).float()
        target = actions if self.predicts == "actions" else actions - noise
        error = torch.where(mask, predicted - target, 0.0).square()
        return error.sum((1, 2)) / mask.sum((1, 2))

    @torch.no_grad()
    def sample(self, tokens: Tokens, batch: Batch, *, noise: Tensor | None = None) -> Tensor:
        """``(B, H, A)``: ``integration_steps`` Euler steps of ``dx/dt = v(x, t)`` from noise at t = 0 to t = 1."""
        x = self._start(tokens, batch) if noise is None else noise
        return self.integrate(x, batch.action_mask, tokens.embeddings, tokens.mask, batch.proprioception)

    def integrate(
        self, x: Tensor, action_mask: Tensor | None, embeddings: Tensor, mask: Tensor, proprioception: Tensor
    ) -> Tensor:
        """The chunk that noise ``x`` is carried to, before the context of ``embeddings`` and ``proprioception``."""
        # Laid out once, so that no step copies keys and values into the order its products want.
        context = self.project(embeddings, mask, proprioception).contiguous()
        for step in range(self.integration_steps):
            x = x if action_mask is None else x * action_mask
            time = torch.full((len(x),), step / self.integration_steps, device=x.device)
            x = x + self.velocity(x, time, context) / self.integration_steps
        return x if action_mask is None else x * action_mask

    def _start(self, tokens: Tokens, batch: Batch) -> Tensor:
        rows, device = len(tokens.embeddings), tokens.embeddings.device
        if batch.draw is None:
            return torch.rand(rows, self.horizon, self.action_dim, device=device) * 2 - 1
        return self._noise(uniforms(batch.draw, self.horizon * self.action_dim).to(device), None)

    def context(self, tokens: Tokens, batch: Batch) -> Context:
        """What every block sees of the tokens and of one proprioception token, projected once."""
        return self.project(tokens.embeddings, tokens.mask, batch.proprioception)

    def project(self, embeddings: Tensor, mask: Tensor, proprioception: Tensor) -> Context:
        """The same from bare tensors."""
        proprioception = self.proprioception(proprioception)[:, None]
        # Under autocast the token of the MLP is of the lower precision; casting here spares every block its own cast.
        seen = torch.cat([embeddings.to(proprioception.dtype), proprioception], dim=1)
        mask = rearrange(F.pad(mask, (0, 1), value=True), "b l -> b 1 1 l")
        return Context([block.project(seen) for block in self.blocks], mask)

    def velocity(self, x: Tensor, time: Tensor, context: Context) -> Tensor:
        """``(B, H, A)`` float32: the field at ``x`` of the same shape and ``time`` of shape ``(B,)`` in [0, 1)."""
        predicted = self._predict(x, time, context).float()
        return predicted if self.predicts == "velocity" else (predicted - x) / (1 - time)[:, None, None]

    def _predict(self, x: Tensor, time: Tensor, context: Context) -> Tensor:
        hidden = self.action_in(x)
        if self.action_mix is not None:
            hidden = self.action_mix(F.relu(hidden) + self.steps)
        moment = self.times[(time * (TIMES - 1)).long()][:, None]
        for block, projected in zip(self.blocks, context.blocks, strict=True):
            if self.recompute and torch.is_grad_enabled():
                hidden = checkpoint(block, hidden, moment, projected, context.mask, use_reentrant=False)
            else:
                hidden = block(hidden, moment, projected, context.mask)
        hidden = self.norm(hidden).flatten(1)
        hidden = hidden if self.pool is None else self.pool(hidden)
        predicted: Tensor = rearrange(self.out(hidden), "b (h a) -> b h a", h=self.horizon)
        return predicted

    def count(self, tally: Tally, run: Pass) -> None:
        """Adds a loss: the context and one time of flow per sample."""
        self._count_context(tally, run)
        self._count_velocity(tally, run)

    def count_chunk(self, tally: Tally, run: Pass) -> None:
        """Adds a chunk: the context once, the velocity at every integration step."""
        self._count_context(tally, run)
        for _ in range(self.integration_steps):
            self._count_velocity(tally, run)

    def _count_context(self, tally: Tally, run: Pass) -> None:
        proprioception = Tally()
        proprioception.through(run.rows, self.proprioception)
        tally.add(proprioception)
        tally.through(run.rows * (run.length + 1), *(block.key_value for block in self.blocks))

    def _count_velocity(self, tally: Tally, run: Pass) -> None:
        steps, actions = run.rows * self.horizon, Tally()
        actions.through(steps, self.action_in)
        if self.action_mix is not None:
            actions.through(steps, self.action_mix)
        for block in self.blocks:
            actions.through(0, block.attention_norm)
            actions.through(steps, block.query)
            actions.attend(steps * (run.length + 1), block.query.out_features, context=tally.reached)
            actions.through(steps, block.attention_out)
            actions.through(0, block.feedforward_norm)
            actions.through(steps, block.feedforward)
        actions.through(run.rows, self.norm, *(() if self.pool is None else (self.pool,)))
        actions.through(run.rows, self.out)
        tally.add(actions)

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        if batch.actions is None or batch.action_mask is None or batch.draw is None:
            raise ValueError("A flow-matching loss needs actions, action_mask and draw; this batch lacks one of them.")
        if batch.actions.shape[1:] != (self.horizon, self.action_dim):
            raise ValueError(
                f"The head predicts chunks of {self.horizon} steps x {self.action_dim} dimensions, the batch holds "
                f"{batch.actions.shape[1]} x {batch.actions.shape[2]}: give data and head the same horizon."
            )
        return batch.actions, batch.action_mask, batch.draw

    def _noise(self, unit: Tensor, mask: Tensor | None) -> Tensor:
        """Uniform numbers in [0, 1) as noise in [-1, 1), zero on dimensions the embodiment does not have."""
        noise = rearrange(unit * 2 - 1, "b (h a) -> b h a", h=self.horizon)
        return noise if mask is None else noise * mask.any(1, keepdim=True)
