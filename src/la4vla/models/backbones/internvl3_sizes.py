"""The published sizes of InternVL3, and the tiny one that runs on a laptop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from transformers import InternVLConfig, InternVLVisionConfig, Qwen2Config

from la4vla.models.backbones.stem import Stem

Variant = Literal["tiny", "1b", "2b", "8b"]


@dataclass(frozen=True)
class Sizes:
    """Everything that decides the number of parameters and tokens.

    Args:
        image_px: Side of the square image.
        patch_px: Side of one patch.
        pixel_shuffle: Factor by which the patch grid's side shrinks on the way to the language model.
        vision_width: Width of the vision transformer.
        vision_layers: Its layers.
        vision_head_dim: Size of one of its attention heads.
        language_width: Width of the language model, hence of the backbone's tokens.
        language_layers: Layers kept, counted from the first.
        language_head_dim: Size of one attention head.
        language_groups: Key-value heads.
        language_feedforward: Inner width of the language model's MLP.
        vocabulary: Rows of the token embedding.
        stem: How a picture becomes patches: by the published linear map, or by small convolutions.
    """

    image_px: int = 448
    patch_px: int = 14
    pixel_shuffle: float = 0.5
    vision_width: int = 1024
    vision_layers: int = 24
    vision_head_dim: int = 64
    language_width: int = 896
    language_layers: int = 14
    language_head_dim: int = 64
    language_groups: int = 2
    language_feedforward: int = 4864
    vocabulary: int = 151_674
    stem: Stem = "patches"

    def config(self) -> InternVLConfig:
        """These sizes in the words of transformers, with what all published variants share.

        Raises:
            ValueError: If a width does not divide into heads, heads into groups, the image into patches and shuffled
                patches, or a patch into what its stem takes.
        """
        for name, whole, part in (
            ("vision_width", self.vision_width, self.vision_head_dim),
            ("language_width", self.language_width, self.language_head_dim),
            ("language_width / language_head_dim", self.language_width // self.language_head_dim, self.language_groups),
            ("image_px", self.image_px, self.patch_px),
            ("image_px / patch_px", self.image_px // self.patch_px, round(1 / self.pixel_shuffle)),
            ("patch_px", self.patch_px, 4 if self.stem == "convolutions" else 1),
        ):
            if whole % part:
                raise ValueError(f"{name} must be a multiple of {part}, got {whole}.")
        return InternVLConfig(
            vision_config=self._vision(),
            text_config=self._language(),
            image_seq_length=round(self.image_px // self.patch_px * self.pixel_shuffle) ** 2,
            downsample_ratio=self.pixel_shuffle,
            tie_word_embeddings=False,
        )

    def _vision(self) -> InternVLVisionConfig:
        # Written only where it is not the published one, which transformers alone would take this model for.
        special: dict[str, Any] = {} if self.stem == "patches" else {"stem": self.stem}
        return InternVLVisionConfig(
            image_size=[self.image_px, self.image_px],
            patch_size=[self.patch_px, self.patch_px],
            hidden_size=self.vision_width,
            num_hidden_layers=self.vision_layers,
            num_attention_heads=self.vision_width // self.vision_head_dim,
            intermediate_size=4 * self.vision_width,
            attention_bias=True,
            **special,
        )

    def _language(self) -> Qwen2Config:
        return Qwen2Config(
            vocab_size=self.vocabulary,
            hidden_size=self.language_width,
            num_hidden_layers=self.language_layers,
            num_attention_heads=self.language_width // self.language_head_dim,
            num_key_value_heads=self.language_groups,
            intermediate_size=self.language_feedforward,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            tie_word_embeddings=False,
        )


SIZES: dict[Variant, Sizes] = {
    "tiny": Sizes(
        image_px=64, patch_px=8, pixel_shuffle=1.0, vision_width=128, vision_layers=4, vision_head_dim=32,
        language_width=192, language_layers=4, language_head_dim=48, language_groups=2, language_feedforward=384,
        vocabulary=1024,
    ),
    "1b": Sizes(),
    "2b": Sizes(language_width=1536, language_head_dim=128, language_feedforward=8960),
    "8b": Sizes(language_width=3584, language_head_dim=128, language_groups=4, language_feedforward=18_944),
}  # fmt: skip


def side_of(size: int | list[int] | tuple[int, ...]) -> int:
    """One number where transformers keeps height and width."""
    return size if isinstance(size, int) else size[0]
