"""LA4VLA-1B with random weights, run as this package does and in the shape of the released code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from la4vla.models.backbones.base import Tokens
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.backbones.internvl3_sizes import Variant
from la4vla.models.backbones.prompt import Layout
from la4vla.models.flops import Pass, Tally, chunk_flops, step_flops
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.statistics import Domain, Statistics

INSTRUCTION = "move the gripper downward and slightly forward while it is still holding nothing"
HORIZON, DIMS, TOKENS, STEPS, VIEWS = 50, 24, 1024, 32, 3
NAMES = tuple(f"n{i}" for i in range(DIMS))
ARM = Embodiment("arm", NAMES, NAMES, ("front", "left", "wrist"), 15.0)


class OneBillion(nn.Module):
    """A policy in both shapes.

    The official shape puts three views and 1024 tokens into every sample, whatever of it can be seen, and its head
    attends to all of them. It is given the fast kernels of this package, so that shape alone is compared; a frozen
    vision transformer builds no graph in it, better than in the release.
    """

    def __init__(self, variant: Variant = "1b", tokens: int = TOKENS) -> None:
        super().__init__()
        self.tokens = tokens
        self.backbone = InternVL3(variant, views=VIEWS)
        self.head = FlowMatchingHead(self.backbone.width, HORIZON, DIMS, DIMS, integration_steps=STEPS)
        one = np.ones(DIMS)
        unit = Statistics(minimum=-one, maximum=one, mean=0 * one, std=one, q01=-one, q99=one, count=2)
        self.policy = Policy(self.backbone, self.head, [Domain(ARM, None, unit, unit)])

    def learn(self, parts: Sequence[str]) -> None:
        """Let ``parts`` learn and freeze all others."""
        for name, parameters in self.policy.parts().items():
            for parameter in parameters:
                parameter.requires_grad_(name in parts)

    def official_loss(self, batch: Batch, strict: bool = False) -> Tensor:
        """``(B,)`` losses; where ``strict``, masked views and padding are hidden from language model and head."""
        return self.head.loss(self._official_tokens(batch, strict), batch)

    @torch.no_grad()
    def official_chunk(self, batch: Batch) -> Tensor:
        """A chunk for each sample."""
        tokens = self._official_tokens(batch)
        x = torch.rand(len(batch), HORIZON, DIMS, device=tokens.embeddings.device) * 2 - 1
        return self.official_integrate(x, tokens.embeddings, tokens.mask, batch.proprioception)

    def official_integrate(self, x: Tensor, embeddings: Tensor, mask: Tensor, proprioception: Tensor) -> Tensor:
        """Euler steps that project keys and values of the context anew each time."""
        for step in range(STEPS):
            time = torch.full((len(x),), step / STEPS, device=x.device)
            x = x + self.head.velocity(x, time, self.head.project(embeddings, mask, proprioception)) / STEPS
        return x

    def _official_tokens(self, batch: Batch, strict: bool = False) -> Tokens:
        layout = self._official_layout(batch)
        embeddings = self.backbone.model.language_model.embed_tokens(layout.ids)
        seen = self.backbone.see(_all_views(batch, self.backbone.image_px))
        places = (layout.image | layout.hidden).flatten().nonzero()[:, 0]
        embeddings = embeddings.flatten(0, 1).to(seen.dtype).index_copy(0, places, seen.flatten(0, 1))
        embeddings = rearrange(embeddings, "(b l) d -> b l d", b=len(batch))
        causal = torch.ones(self.tokens, self.tokens, dtype=torch.bool, device=places.device).tril()
        hidden = causal & layout.mask[:, None, None] if strict else None
        mask = layout.mask if strict else torch.ones_like(layout.mask)
        return Tokens(self.backbone.read(embeddings, layout.positions, hidden), mask, layout.image)

    def _official_layout(self, batch: Batch) -> Layout:
        layout = self.backbone.prompt.layout(batch.instructions, batch.visible.cpu(), drop=False)
        padding = (0, self.tokens - layout.ids.shape[1])
        padded = Layout(*(F.pad(part, padding) for part in layout))
        positions = torch.arange(self.tokens).expand_as(padded.ids)
        return Layout(*(part.to(self.backbone.mean.device) for part in padded._replace(positions=positions)))

    def flops(self, runs: list[Pass], acting: bool) -> float:
        """Operations of forward and backward of ``runs``, or of the chunk that one run samples."""
        if acting:
            return chunk_flops(self.backbone, self.head, runs[0])
        total = step_flops(self.backbone, self.head, runs)
        return total.forward + total.backward

    def official_flops(self, runs: list[Pass], acting: bool) -> float:
        """The same in the official shape."""
        rows = sum(run.rows for run in runs)
        shape = Pass(rows, self.tokens, VIEWS * rows)
        if not acting:
            return self.flops([shape], acting=False)
        tally = Tally()
        self.backbone.count(tally, shape)
        for _ in range(STEPS):
            self.head.count(tally, shape)  # a loss is a context and a velocity, as is an official step
        return tally.forward

    def runs(self, rows: int, seen: int) -> list[Pass]:
        """How the policy runs ``rows`` samples of which ``seen`` see one camera's image."""
        return [self._pass(rows - seen, 0)] * (seen < rows) + [self._pass(seen, 1)] * (seen > 0)

    def _pass(self, rows: int, images: int) -> Pass:
        layout = self.backbone.prompt.layout([INSTRUCTION], torch.full((1, 1), images > 0), drop=True)
        return Pass(rows, layout.ids.shape[1], images * rows)


def samples(rows: int, seen: int, side: int = 448) -> Batch:
    """``rows`` samples, the last ``seen`` of which see one camera's image."""
    index = torch.full((rows, VIEWS), -1)
    index[rows - seen :, 0] = torch.arange(seen)
    return Batch(
        images=torch.randint(0, 256, (seen, 3, side, side), dtype=torch.uint8),
        image_index=index,
        instructions=(INSTRUCTION,) * rows,
        proprioception=torch.rand(rows, DIMS) * 2 - 1,
        embodiments=(ARM.name,) * rows,
        actions=torch.rand(rows, HORIZON, DIMS) * 2 - 1,
        action_mask=repeat(torch.arange(DIMS) < 7, "a -> b h a", b=rows, h=HORIZON),
        draw=torch.arange(rows),
    )


def _all_views(batch: Batch, side: int) -> Tensor:
    """``(B V, 3, side, side)``: the images of ``batch``, and noise where a view is masked."""
    views = torch.randint(0, 256, (len(batch) * VIEWS, 3, side, side), dtype=torch.uint8, device=batch.images.device)
    views[batch.visible.flatten()] = batch.images[batch.image_index[batch.visible]]
    return views
