"""A stand-in for the pretraining of a vision-language model, at the scale of a laptop."""

from __future__ import annotations

import re
from typing import Literal
from zlib import crc32

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from la4vla.models.backbones.base import Tokens
from la4vla.models.heads.base import Head
from la4vla.models.heads.cross_attention import Block
from la4vla.schema.batch import Batch


class AlignmentHead(Head):
    """From image tokens alone, tells where the robot is, which words its instruction holds and where it goes next.

    A few learned queries look at the image tokens; a causal language model computes them before it reads the
    instruction, so nothing can be copied. Their answer predicts the normalised proprioception (``pose_error``) and the
    bag of words of the instruction (binary cross-entropy over ``crc32(word) % buckets``, where present and absent
    words weigh the same). Where ``action_dim`` is given, it also predicts the normalised action chunk (mean squared
    error over valid entries): without it only the robot itself would have to be found in the image, and never what it
    is about to move to. The loss of a sample is the sum, in which the proprioception counts ``pose_weight`` times.

    A square hardly tells an error of two hundredths of the range from none, next to a chunk that nobody can foresee;
    an absolute error goes on pulling.

    Args:
        width: Width of the backbone's tokens.
        proprioception_dim: Dimensions to predict. Padded ones would count as zeros to be learned, so give the
            embodiment's own number.
        action_dim: Dimensions per step of the chunk to predict, the data's own number; 0 predicts none.
        horizon: Steps of that chunk.
        buckets: Hash buckets for words.
        queries: Learned queries.
        heads: Attention heads; must divide ``width``.
        feedforward: Inner width of the block's MLP, as a multiple of ``width``.
        pose_error: What is averaged over the dimensions of the proprioception: ``squared`` or ``absolute`` errors.
        pose_weight: What that mean is multiplied by.
    """

    reads_instructions = False

    def __init__(
        self,
        width: int,
        proprioception_dim: int,
        action_dim: int = 0,
        horizon: int = 1,
        buckets: int = 512,
        queries: int = 4,
        heads: int = 4,
        feedforward: int = 2,
        pose_error: Literal["squared", "absolute"] = "squared",
        pose_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.pose_error, self.pose_weight = pose_error, pose_weight
        self.proprioception_dim, self.buckets = proprioception_dim, buckets
        self.action_dim, self.horizon = action_dim, horizon
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.block = Block(width, heads, feedforward * width, dropout=0.0)
        self.out = nn.Linear(queries * width, sum(self._sizes))

    def loss(self, tokens: Tokens, batch: Batch) -> Tensor:
        """``(B,)`` float32.

        Raises:
            ValueError: If a sample shows no image: it has nothing to align.
        """
        if not bool(tokens.image.any(1).all()):
            raise ValueError(
                "An alignment loss looks at images, and this batch holds samples without any: give the recipe sources "
                "with vision: visible only."
            )
        context = self.block.project(self.norm(tokens.embeddings))
        queries = repeat(self.queries, "q d -> b q d", b=len(batch))
        answer = self.block(queries, torch.zeros_like(queries[:, :1]), context, tokens.image[:, None, None])
        pose, words, chunk = self.out(answer.flatten(1)).float().split(self._sizes, dim=1)
        error = F.mse_loss if self.pose_error == "squared" else F.l1_loss
        missed = error(pose, batch.proprioception, reduction="none").mean(1)
        loss = self.pose_weight * missed + self._word_loss(words, batch)
        return loss + self._chunk_loss(chunk, batch) if self.action_dim else loss

    @property
    def _sizes(self) -> list[int]:
        return [self.proprioception_dim, self.buckets, self.horizon * self.action_dim]

    def _chunk_loss(self, chunk: Tensor, batch: Batch) -> Tensor:
        if batch.actions is None or batch.action_mask is None:
            raise ValueError("An alignment loss with action_dim needs actions and action_mask; this batch has none.")
        if batch.actions.shape[1:] != (self.horizon, self.action_dim):
            raise ValueError(
                f"The head predicts chunks of {self.horizon} steps x {self.action_dim} dimensions, the data holds "
                f"{batch.actions.shape[1]} x {batch.actions.shape[2]}: give the head the data's own numbers."
            )
        predicted = rearrange(chunk, "b (h a) -> b h a", h=self.horizon)
        error = torch.where(batch.action_mask, predicted - batch.actions, 0.0).square()
        return error.sum((1, 2)) / batch.action_mask.sum((1, 2))

    def _word_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        present = torch.zeros(logits.shape, dtype=torch.bool)
        for row, instruction in zip(present, batch.instructions, strict=True):
            row[[crc32(word.encode()) % self.buckets for word in re.findall(r"\w+", instruction.lower())]] = True
        present = present.to(logits.device)
        error = F.binary_cross_entropy_with_logits(logits, present.float(), reduction="none")
        present_error, absent_error = ((error * side).sum(1) / side.sum(1).clamp(min=1) for side in (present, ~present))
        return (present_error + absent_error) / 2
