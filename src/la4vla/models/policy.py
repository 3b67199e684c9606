"""A policy: normalizer, backbone and head, physical units on both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from la4vla.models import checkpoint, hub, inheritance, trainer_state
from la4vla.models.backbones.base import Backbone, Tokens
from la4vla.models.clamping import MOST_CLAMPED
from la4vla.models.heads.base import ActionHead, Head
from la4vla.models.normalizer import Normalization, Normalizer
from la4vla.models.observations import gather
from la4vla.schema.batch import Batch
from la4vla.schema.observation import ActionChunk, Observation
from la4vla.schema.statistics import Domain


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; each submodule then returns to its own mode."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


class Policy(nn.Module):
    """Turns observations into action chunks, and batches into losses.

    Args:
        backbone: Images and instructions to tokens.
        head: Tokens to a loss, and to a chunk if it is an :class:`~la4vla.models.heads.base.ActionHead`.
        domains: The bodies and views of the training data, one per embodiment, with their statistics.
        normalization: Which statistics map physical units to [-1, 1].

    Attributes:
        provenance: What is known of its training, as plain JSON values; travels with the saved folder.
    """

    def __init__(
        self, backbone: Backbone, head: Head, domains: Sequence[Domain], normalization: Normalization = "bounds"
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.normalization: Normalization = normalization
        self.provenance: dict[str, Any] = {}
        self.adopt(domains)

    def adopt(self, domains: Sequence[Domain]) -> None:
        """Takes ``domains`` and their statistics in place of those it had."""
        head, self.domains = self.head, list(domains)
        widest = max((len(domain.actions.mean) for domain in domains), default=0)
        action_dim = head.action_dim if isinstance(head, ActionHead) else widest
        device = next(head.parameters()).device
        self.normalizer = Normalizer(domains, head.proprioception_dim, action_dim, self.normalization).to(device)

    def loss(self, batch: Batch) -> Tensor:
        """``(B,)`` float32, one loss per sample; ``batch`` is in physical units.

        Samples that see equally many views run together, so that one without vision is never padded to one with it.

        Raises:
            ValueError: If the batch does not fit backbone, head or domains.
        """
        batch = self._normalised(batch)
        seen = batch.visible.sum(1)
        counts = torch.unique(seen)
        if len(counts) == 1:
            return self.head.loss(self._tokens(batch), batch)
        loss = torch.empty(len(batch), device=batch.proprioception.device)
        groups = [(seen == count).nonzero()[:, 0] for count in counts]
        parts = [batch.rows(rows) for rows in groups]
        losses = torch.cat([self.head.loss(self._tokens(part), part) for part in parts])
        return loss.index_copy(0, torch.cat(groups), losses)

    @torch.no_grad()
    def act(
        self,
        observations: Sequence[Observation],
        draws: Sequence[int] | None = None,
        allow_missing: Collection[str] = (),
    ) -> list[ActionChunk]:
        """One chunk per observation, always in evaluation mode.

        Args:
            observations: Any mix of the policy's embodiments, with or without images.
            draws: One seed per observation: the same seed and observation give the same chunk. None draws from torch.
            allow_missing: Cameras that an observation may lack although the policy was trained to see them. A policy
                trained without vision lacks none; :class:`~la4vla.models.masked_policy.MaskedPolicy` allows all.

        Raises:
            ValueError: If an observation does not fit what the policy was trained on, or its numbers are not finite.
            FloatingPointError: If the answer is not finite.
            TypeError: If the head does not act.
        """
        if not isinstance(self.head, ActionHead):
            raise TypeError(f"{type(self.head).__name__} trains a backbone and does not act: fit an action head first.")
        domains = {domain.embodiment.name: domain for domain in self.domains}
        batch = gather(observations, draws, domains, self.backbone.views, allow_missing).to(self.device)
        rows = self.normalizer.rows(batch.embodiments)
        mask = self.normalizer.action_mask(rows)[:, None].expand(-1, self.head.horizon, -1)
        batch = replace(self._normalised(batch), action_mask=mask)
        with _evaluating(self):
            chunks = self.head.sample(self.backbone(batch), batch)
        physical = self.normalizer.physical_actions(chunks.float(), rows).cpu().numpy()
        if not np.isfinite(physical).all():
            raise FloatingPointError(
                "The policy answered actions that are not finite: execute none, and check its weights and statistics."
            )
        dims = [len(domains[name].embodiment.actions) for name in batch.embodiments]
        named = zip(physical, dims, batch.embodiments, strict=True)
        return [ActionChunk(actions=chunk[:, :dim], embodiment=name) for chunk, dim, name in named]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normalizer.action_centre.device

    def _tokens(self, batch: Batch) -> Tokens:
        seen = batch if self.head.reads_instructions else replace(batch, instructions=("",) * len(batch))
        tokens: Tokens = self.backbone(seen)
        return tokens

    def _normalised(self, batch: Batch) -> Batch:
        """``batch`` with numbers in [-1, 1], padded to the head's dimensions."""
        rows = self.normalizer.rows(batch.embodiments)
        batch = replace(batch, proprioception=self.normalizer.proprioception(batch.proprioception, rows))
        if batch.actions is None or batch.action_mask is None:
            return batch
        actions = self.normalizer.actions(batch.actions, rows)
        dims = self.normalizer.action_mask(rows)[:, None]
        surplus = actions.shape[-1] - batch.action_mask.shape[-1]
        mask = F.pad(batch.action_mask, (0, surplus)) & dims
        if not bool(mask.any(2).any(1).all()):
            raise ValueError("A sample without a single valid action has no loss: cut windows inside their episodes.")
        return replace(batch, actions=actions, action_mask=mask)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """All parameters by part: the backbone's and ``head``."""
        return {**self.backbone.parts(), "head": list(self.head.parameters())}

    def inherit(
        self,
        predecessor: Policy,
        statistics: inheritance.StatisticsOf = "predecessor",
        most_clamped: float | None = MOST_CLAMPED,
    ) -> str:
        """Take over a predecessor's weights and statistics; see :func:`la4vla.models.inheritance.inherit`."""
        return inheritance.inherit(self, predecessor, statistics, most_clamped)

    def save(self, folder: str | Path) -> None:
        """Writes ``config.json``, ``model.safetensors`` and ``backbone/``; see :mod:`la4vla.models.checkpoint`."""
        checkpoint.save(self, Path(folder))

    def save_pretrained(self, folder: str | Path, title: str | None = None) -> None:
        """What :meth:`save` writes and a model card; see :func:`la4vla.models.hub.save_pretrained`."""
        hub.save_pretrained(self, folder, title)

    def push_to_hub(self, repository: str, private: bool = True, token: str | None = None) -> str:
        """Puts the policy into the repository ``owner/name``; see :func:`la4vla.models.hub.push_to_hub`."""
        return hub.push_to_hub(self, repository, private, token=token)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The policy saved in ``folder``, on the CPU in evaluation mode, without any hub.

        A trainer's checkpoint (``RUN/checkpoints/last.ckpt``) does too; see :mod:`la4vla.models.trainer_state`.
        """
        path = Path(folder)
        return trainer_state.load(cls, path) if trainer_state.is_checkpoint(path) else checkpoint.load(cls, path)

    @classmethod
    def from_pretrained(cls, source: str | Path, revision: str | None = None) -> Self:
        """The policy of a folder or of a hub repository; see :func:`la4vla.models.hub.from_pretrained`."""
        return hub.from_pretrained(cls, source, revision)
