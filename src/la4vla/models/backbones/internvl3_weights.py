"""Where an InternVL3 comes from: fresh sizes, published weights, or a saved policy's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import NamedTuple

import torch
from einops import repeat
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    InternVLConfig,
    InternVLModel,
    InternVLVisionConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
)
from transformers.utils import logging

from la4vla.models.backbones.internvl3_sizes import Sizes, side_of
from la4vla.models.backbones.prompt import IMAGE_CONTEXT
from la4vla.models.backbones.stem import ConvolutionalStem
from la4vla.models.hub_access import first_line

TOKENIZER = Path(__file__).parent / "tokenizer"


class Origin(NamedTuple):
    """A model, its tokenizer, and the two halves of its configuration."""

    model: InternVLModel
    tokenizer: PreTrainedTokenizerBase
    vision: InternVLVisionConfig
    language: Qwen2Config


def fresh(sizes: Sizes) -> Origin:
    """Random weights in ``sizes`` and the packaged tokenizer."""
    config, tokenizer = sizes.config(), AutoTokenizer.from_pretrained(TOKENIZER)
    config.image_token_id = tokenizer.get_vocab()[IMAGE_CONTEXT]
    vision, language = _halves(config, "fresh sizes")
    model = _with_stem(InternVLModel(config), vision)
    places = model.vision_tower.embeddings.position_embeddings
    with torch.no_grad():
        # transformers begins at zero, for weights to be loaded; from there a small vision tower hardly learns where
        # things are. The first row belongs to the class token.
        places[0, 1:] = grid_sinusoids(sizes.image_px // sizes.patch_px, sizes.vision_width)
    return Origin(model, tokenizer, vision, language)


def grid_sinusoids(side: int, width: int) -> Tensor:
    """``(side * side, width)``: half of the channels tell the row, half the column (He et al., 2022, MAE)."""
    rates = 10000.0 ** (-torch.arange(width // 4) / (width // 4))
    angles = torch.arange(side)[:, None] * rates
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = repeat(line, "y d -> (y x) d", x=side)
    columns = repeat(line, "x d -> (y x) d", y=side)
    return torch.cat([rows, columns], dim=1)


def saved(folder: Path) -> Origin:
    """The structure that a policy's folder holds; its weights are random until they are loaded.

    Raises:
        ValueError: If a file is missing; transformers would go and look for it on the hub.
    """
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name} is missing: copy the policy's folder as a whole.")
    config = InternVLConfig.from_pretrained(folder)
    vision, language = _halves(config, str(folder))
    model = _with_stem(InternVLModel(config), vision)
    return Origin(model, AutoTokenizer.from_pretrained(folder), vision, language)


def published(weights: str, layers: int) -> Origin:
    """Hub id or local folder ``weights`` with its first ``layers`` language layers, in float32.

    Raises:
        ValueError: If the weights are of another architecture, have too few layers, are incomplete, damaged or missing.
    """
    with _fetching(weights):
        config = AutoConfig.from_pretrained(weights)
    if not isinstance(config, InternVLConfig):
        raise ValueError(
            f"weights='{weights}' hold a '{config.model_type}' model; InternVL3 needs the layout of "
            "OpenGVLab/InternVL3-1B-hf (model type 'internvl')."
        )
    vision, language = _halves(config, weights)
    if language.num_hidden_layers < layers:
        raise ValueError(
            f"weights='{weights}' have {language.num_hidden_layers} language layers, {layers} were asked for: lower "
            "language_layers or name the variant that fits."
        )
    language.num_hidden_layers, language.layer_types = layers, (language.layer_types or [])[:layers]
    with _quiet(), _fetching(weights):
        model, report = AutoModel.from_pretrained(weights, config=config, dtype=torch.float32, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(weights)
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(f"weights='{weights}' lack {len(missing)} tensors, for one '{missing[0]}'.")
    return Origin(model, tokenizer, vision, language)


@contextmanager
def _fetching(weights: str) -> Iterator[None]:
    """While it lasts, transformers' pages about files that are not there or damaged become one sentence."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        lacking = [name for name in ("config.json", "tokenizer.json") if not (Path(weights) / name).is_file()]
        if Path(weights).is_dir() and lacking:
            raise ValueError(
                f"weights='{weights}' has no {lacking[0]}: name a folder in the layout of OpenGVLab/InternVL3-1B-hf."
            ) from error
        raise ValueError(
            f"weights='{weights}' cannot be read ({first_line(error).rstrip('.')}): name a folder or a repository in "
            "the layout of OpenGVLab/InternVL3-1B-hf, on a hub that can be reached."
        ) from error


def _with_stem(model: InternVLModel, vision: InternVLVisionConfig) -> InternVLModel:
    """``model`` with the stem its vision part's configuration names; one that names none has the published map."""
    if getattr(vision, "stem", "patches") == "convolutions":
        patches = model.vision_tower.embeddings.patch_embeddings
        patches.projection = ConvolutionalStem(vision.num_channels, vision.hidden_size, side_of(vision.patch_size))
    return model


def _halves(config: InternVLConfig, source: str) -> tuple[InternVLVisionConfig, Qwen2Config]:
    vision, language = config.vision_config, config.text_config
    if not isinstance(vision, InternVLVisionConfig) or not isinstance(language, Qwen2Config):
        raise ValueError(f"{source} must join InternViT and Qwen2 as InternVL3 does, but have {language}.")
    return vision, language


@contextmanager
def _quiet() -> Iterator[None]:
    """Spares the reader transformers' table of the tensors it left out: the layers above those kept."""
    before: int = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
