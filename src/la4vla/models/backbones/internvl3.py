"""InternVL3, truncated as in LA4VLA, on transformers' own classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from la4vla.models.backbones import attention as attention_kernel
from la4vla.models.backbones.base import Backbone, Tokens
from la4vla.models.backbones.internvl3_sizes import SIZES, Variant, side_of
from la4vla.models.backbones.internvl3_weights import Origin, fresh, published, saved
from la4vla.models.backbones.prompt import Layout, Prompt
from la4vla.models.backbones.rms_norm import replace_norms
from la4vla.models.backbones.stem import ConvolutionalStem, Stem
from la4vla.models.flops import Pass, Tally
from la4vla.schema.batch import Batch

KERNELS = {"sdpa": attention_kernel.NAME, "eager": "eager", "flash_attention_2": "flash_attention_2"}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class InternVL3(Backbone):
    """Vision transformer, projector and the first layers of a causal language model, final norm included.

    A masked view's tokens do not exist: they are dropped before the language model, and the tokens that remain keep
    the position ids they would have had. With causal attention this equals masking the keys, as LA4VLA does, and costs
    no vision. Right padding needs no attention mask either, since nothing valid comes after it.

    A frozen part builds no graph: autograd records only what a trainable parameter can reach.

    Args:
        variant: Published size, or ``tiny``.
        weights: Hub id or local folder in the layout of ``OpenGVLab/InternVL3-1B-hf``; None starts from random weights.
        language_layers: Language layers kept, counted from the first; None keeps the variant's number.
        attention: Attention kernel of vision and language model. ``sdpa`` is torch's fused kernel, except on a CPU: see
            :func:`la4vla.models.attention.attend`.
        masked_views: ``drop`` leaves masked image tokens out; ``mask`` keeps them, zeroed, under an attention mask. The
            answers are the same; the second exists to show that.
        views: View slots of the prompt.
        instruction_tokens: Most tokens an instruction may have; a longer one is an error, never cut.
        image_px: Overrides the variant's image side. This and all that follow are for random weights only.
        patch_px: Overrides the side of a patch.
        pixel_shuffle: Overrides the factor between the patch grid's side and the token grid's side.
        vision_width: Overrides the width of the vision transformer.
        vision_layers: Overrides its number of layers.
        language_width: Overrides the width of the language model.
        stem: Overrides how a picture becomes patches: ``patches`` is the published linear map, ``convolutions`` a
            :class:`la4vla.models.backbones.stem.ConvolutionalStem`.
        recompute: Whether layers run again in the backward pass instead of keeping what they computed: less memory for
            more time, and the same gradients. This one goes with any weights.

    Raises:
        ValueError: If sizes do not fit together, or ``weights`` hold another architecture.
    """

    replayable = ("see", "read")
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        variant: Variant = "tiny",
        weights: str | None = None,
        language_layers: int | None = None,
        attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa",
        masked_views: Literal["drop", "mask"] = "drop",
        views: int = 1,
        instruction_tokens: int = 128,
        image_px: int | None = None,
        patch_px: int | None = None,
        pixel_shuffle: float | None = None,
        vision_width: int | None = None,
        vision_layers: int | None = None,
        language_width: int | None = None,
        stem: Stem | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        overrides: dict[str, Any] = {
            "image_px": image_px, "patch_px": patch_px, "pixel_shuffle": pixel_shuffle, "vision_width": vision_width,
            "vision_layers": vision_layers, "language_width": language_width, "stem": stem,
        }  # fmt: skip
        given = {name: size for name, size in overrides.items() if size is not None}
        if weights is not None and given:
            raise ValueError(f"{sorted(given)} cannot be chosen for published weights: leave them out.")
        layers = SIZES[variant].language_layers if language_layers is None else language_layers
        sizes = dataclasses.replace(SIZES[variant], language_layers=layers, **given)
        origin = fresh(sizes) if weights is None else published(weights, layers)
        self._assemble(origin, attention, masked_views, views, instruction_tokens)
        self._recompute(recompute)

    def _assemble(self, origin: Origin, attention: str, masked_views: str, views: int, instruction_tokens: int) -> None:
        self.model, self.tokenizer, vision, language = origin
        self.model.set_attn_implementation(KERNELS[attention])
        replace_norms(self.model.language_model)
        self.attention, self.drop = attention, masked_views == "drop"
        self.width, self.views, self.image_px = language.hidden_size, views, side_of(vision.image_size)
        side = round(self.image_px // side_of(vision.patch_size) * self.model.config.downsample_ratio)
        self.prompt = Prompt(self.tokenizer, views, side**2, instruction_tokens)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, batch: Batch) -> Tokens:
        """The last kept layer after the final norm, one token per visible patch group and piece of text."""
        shown, device = batch.image_index.cpu(), self.mean.device
        layout = self.prompt.layout(batch.instructions, shown >= 0, self.drop)
        # Found on the CPU, where the layout is: a GPU would have to be waited for.
        images, places = shown[shown >= 0].to(device), layout.image.flatten().nonzero()[:, 0].to(device)
        layout = Layout(*(part.to(device) for part in layout))
        embeddings = self._embedded(layout.ids)
        if len(images):
            seen = self.see(batch.images).index_select(0, images)
            # Copying whole rows: a masked scatter would go number by number, there and back.
            rows = embeddings.flatten(0, 1).index_copy(0, places, seen.flatten(0, 1).to(embeddings.dtype))
            embeddings = rows.view_as(embeddings)
        if not self.drop:
            embeddings = embeddings.masked_fill(layout.hidden[..., None], 0.0)
        return Tokens(self.read(embeddings, layout.positions, self._attention_mask(layout)), layout.mask, layout.image)

    def _embedded(self, ids: Tensor) -> Tensor:
        """``(B, L, D)``: text in autocast's precision where that is on, as the official weights expect."""
        device = self.mean.device.type
        embeddings: Tensor = self.model.language_model.embed_tokens(ids)
        return embeddings.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else embeddings

    def read(self, embeddings: Tensor, positions: Tensor, attention_mask: Tensor | None) -> Tensor:
        """``(B, L, D)`` to the same shape: the language layers and the final norm."""
        answer: Tensor = self.model.language_model(
            inputs_embeds=embeddings,
            position_ids=positions,
            # As a mapping, transformers takes the mask as it is. Left to itself it would read the gap that dropped
            # tokens leave in the position ids as the border between two packed sequences.
            attention_mask={"full_attention": attention_mask},
            use_cache=False,  # nothing is generated, so keys and values need not be copied
        ).last_hidden_state
        return answer

    def see(self, images: Tensor) -> Tensor:
        """``(n, 3, h, w)`` uint8 RGB to ``(n, N, D)`` tokens for the language model; other sizes are squashed."""
        pixels = images.to(self.mean.device).float()
        if pixels.shape[-2:] != (self.image_px, self.image_px):
            size = (self.image_px, self.image_px)
            pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True).round().clamp(0, 255)
        pixels = (pixels / 255 - self.mean) / self.std
        features: Tensor = self.model.get_image_features(pixels).pooler_output
        return features

    def _attention_mask(self, layout: Layout) -> Tensor | None:
        """What the chosen kernel needs to be causal, and to skip hidden keys where those were kept."""
        if self.attention == "flash_attention_2":
            return layout.mask
        if self.attention == "sdpa" and self.drop:
            return None
        length = layout.ids.shape[1]
        allowed = torch.ones(length, length, dtype=torch.bool, device=layout.ids.device).tril()[None, None]
        if not self.drop:
            allowed = allowed & layout.mask[:, None, None]
        if self.attention == "sdpa":
            return allowed
        return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, torch.finfo(torch.float32).min)

    def check_instruction(self, instruction: str) -> None:
        """Raise if ``instruction`` is longer than ``instruction_tokens`` or holds a token that is no text."""
        self.prompt.check(instruction)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """``vision``: tower and projector; ``embeddings``: token table; ``language``: layers and final norm."""
        language = self.model.language_model
        return {
            "vision": [*self.model.vision_tower.parameters(), *self.model.multi_modal_projector.parameters()],
            "embeddings": list(language.embed_tokens.parameters()),
            "language": [*language.layers.parameters(), *language.norm.parameters()],
        }

    def save_structure(self, folder: Path) -> None:
        """Writes the tokenizer and transformers' configuration."""
        self.model.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def rebuild(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """From :meth:`save_structure`'s files, whatever hub the weights first came from."""
        backbone = cls.__new__(cls)
        nn.Module.__init__(backbone)
        vars(backbone)["arguments"] = dict(arguments)
        settings = {name: arguments[name] for name in ("attention", "masked_views", "views", "instruction_tokens")}
        backbone._assemble(saved(folder), **settings)
        backbone._recompute(arguments.get("recompute", False))
        return backbone

    def _recompute(self, asked: bool) -> None:
        """Tells the layers, in the way their class names, whether to run again in a backward pass."""
        for layer in (*self.model.vision_tower.encoder.layer, *self.model.language_model.layers):
            layer.gradient_checkpointing = asked
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def count(self, tally: Tally, run: Pass) -> None:
        """Adds images through tower and projector, then all tokens through the language layers."""
        if run.images:
            self._count_vision(tally, run.images)
        language, tokens = self.model.language_model, run.rows * run.length
        tally.through(0, language.embed_tokens)
        for layer in language.layers:
            attention, mlp = layer.self_attn, layer.mlp
            tally.through(0, layer.input_layernorm)
            tally.through(tokens, attention.q_proj, attention.k_proj, attention.v_proj)
            heads = language.config.num_attention_heads
            tally.attend(tokens * run.length, heads * attention.head_dim)
            tally.through(tokens, attention.o_proj)
            tally.through(0, layer.post_attention_layernorm)
            tally.through(tokens, mlp.gate_proj, mlp.up_proj)
            tally.through(tokens, mlp.down_proj)
        tally.through(0, language.norm)

    def _count_vision(self, tally: Tally, images: int) -> None:
        tower = self.model.vision_tower
        patches = tower.embeddings.patch_embeddings.num_patches
        tokens = images * (patches + 1)  # a class token goes along
        projection = tower.embeddings.patch_embeddings.projection
        if isinstance(projection, ConvolutionalStem):
            projection.count(tally, images * patches)
        else:
            tally.through(images * patches, projection)
        tally.through(0, tower.embeddings)
        for layer in tower.encoder.layer:
            tally.through(0, layer.layernorm_before)
            tally.through(tokens, layer.attention)
            tally.attend(tokens * (patches + 1), layer.attention.embed_dim)
            tally.through(tokens, layer.mlp)
        tally.through(round(images * patches * self.model.config.downsample_ratio**2), self.model.multi_modal_projector)
