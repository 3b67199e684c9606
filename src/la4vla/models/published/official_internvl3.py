"""InternVL3 exactly as the official code runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from la4vla.models.backbones.base import Tokens
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.backbones.internvl3_weights import saved
from la4vla.models.backbones.prompt import Layout
from la4vla.schema.batch import Batch


class OfficialInternVL3(InternVL3):
    """:class:`InternVL3` for checkpoints trained without a mask on the head's context, and only for those.

    The views that are there move to the first slots; a black image fills every other slot and runs through the vision
    transformer, its tokens masked as keys alone. Prompts are padded to ``prompt_tokens``, and the head is told to look
    at every position, padding and black images included.

    What stands at masked positions then matters. FlashAttention-2, which the authors trained with, answers zero to
    their queries, so that each is changed by the MLPs only; plain attention lets them look at all that came before.

    Args:
        weights: Hub id or local folder in the layout of ``OpenGVLab/InternVL3-1B-hf``.
        language_layers: Language layers kept.
        attention: Attention kernel; ``masked_queries`` decides on FlashAttention's semantics, whatever the kernel.
        masked_queries: ``zero``: as with FlashAttention-2. ``attend``: as with eager attention.
        views: View slots of the prompt.
        prompt_tokens: Length of every prompt. The official code cuts longer ones; here they are an error.

    Raises:
        ValueError: If the views alone fill the prompt, or ``weights`` hold another architecture.
    """

    def __init__(
        self,
        weights: str,
        language_layers: int = 14,
        attention: Literal["sdpa", "eager"] = "sdpa",
        masked_queries: Literal["zero", "attend"] = "zero",
        views: int = 3,
        prompt_tokens: int = 1024,
    ) -> None:
        super().__init__("1b", weights, language_layers, attention, "mask", views, prompt_tokens)
        self._complete(masked_queries, prompt_tokens)

    @classmethod
    def rebuild(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """From ``save_structure``'s files, whatever hub the weights first came from."""
        backbone = cls.__new__(cls)
        nn.Module.__init__(backbone)
        vars(backbone)["arguments"] = dict(arguments)
        length = arguments["prompt_tokens"]
        backbone._assemble(saved(folder), arguments["attention"], "mask", arguments["views"], length)
        backbone._complete(arguments["masked_queries"], length)
        return backbone

    def _complete(self, masked_queries: str, prompt_tokens: int) -> None:
        self.masked_queries, self.prompt_tokens = masked_queries, prompt_tokens
        empty = self.prompt.layout([""], torch.zeros(1, 0, dtype=torch.bool), drop=False).ids.shape[1]
        if empty >= prompt_tokens:
            raise ValueError(
                f"{self.views} views fill {empty} tokens, no room is left in prompt_tokens={prompt_tokens}."
            )
        self.prompt.longest = prompt_tokens - empty

    def forward(self, batch: Batch) -> Tokens:
        """``prompt_tokens`` tokens per sample, every one of them under a True mask."""
        index = self._compacted(batch.image_index)
        layout = self.prompt.layout(batch.instructions, index.ge(0).cpu(), drop=False)
        layout = Layout(*(part.to(self.mean.device) for part in self._lengthened(layout)))
        with self._answering(layout.mask):
            read = self.model.language_model(
                inputs_embeds=self._fused(batch.images, index.to(self.mean.device), layout.ids),
                position_ids=layout.positions,
                attention_mask={"full_attention": self._attention_mask(layout)},
            )
        return Tokens(read.last_hidden_state, torch.ones_like(layout.mask), layout.image)

    def _compacted(self, index: Tensor) -> Tensor:
        """``(B, views)``: the rows of visible images first, in their order, -1 behind them."""
        if index.shape[1] > self.views:
            raise ValueError(f"The backbone has {self.views} view slots, the batch {index.shape[1]}: leave views out.")
        order = torch.argsort(index.lt(0), dim=1, stable=True)
        return F.pad(index.gather(1, order), (0, self.views - index.shape[1]), value=-1)

    def _lengthened(self, layout: Layout) -> Layout:
        """``layout`` with padding up to the fixed length, positions counted on."""
        length = layout.ids.shape[1]
        ids = F.pad(layout.ids, (0, self.prompt_tokens - length), value=self.prompt.pad)
        mask, image, hidden = (F.pad(part, (0, self.prompt_tokens - length), value=False) for part in layout[2:])
        return Layout(ids, torch.arange(self.prompt_tokens).expand_as(ids), mask, image, hidden)

    def _fused(self, images: Tensor, index: Tensor, ids: Tensor) -> Tensor:
        """``(B, L, D)``: text, and in every slot an image or the black one, which stands behind all others."""
        embeddings: Tensor = self.model.language_model.embed_tokens(ids)
        if torch.is_autocast_enabled(self.mean.device.type):
            embeddings = embeddings.to(torch.get_autocast_dtype(self.mean.device.type))
        black = torch.zeros(1, 3, self.image_px, self.image_px, dtype=torch.uint8, device=self.mean.device)
        seen = torch.cat([self.see(images), self.see(black)]) if len(images) else self.see(black)
        filled = seen[index.where(index >= 0, len(seen) - 1)].to(embeddings.dtype)
        places = self.prompt.slot.ge(0).nonzero()[:, 0].to(ids.device)
        return embeddings.index_copy(1, places, rearrange(filled, "b v n d -> b (v n) d"))

    @contextmanager
    def _answering(self, mask: Tensor) -> Iterator[None]:
        """While it lasts, attention answers zero where ``mask`` is False, if that is what was asked for."""

        def silenced(_: nn.Module, __: object, answer: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
            return answer[0].masked_fill(~mask[..., None], 0.0), answer[1]

        layers = self.model.language_model.layers if self.masked_queries == "zero" else ()
        handles = [layer.self_attn.register_forward_hook(silenced) for layer in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
