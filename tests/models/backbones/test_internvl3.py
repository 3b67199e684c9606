"""InternVL3 against transformers' own forward pass, and what dropping must not change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoTokenizer,
    InternVLForConditionalGeneration,
    InternVLModel,
    Qwen2Config,
    Qwen2Model,
)

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.backbones.internvl3_sizes import SIZES, Sizes
from la4vla.models.backbones.internvl3_weights import TOKENIZER
from la4vla.schema.batch import Batch

PATTERNS = [[True, True], [True, False], [False, True], [False, False]]
SMALL = Sizes(16, 8, 1.0, 32, 1, 32, 96, 4, 48, 2, 64, 1024)


def _millions(parameters: list[torch.nn.Parameter]) -> float:
    return sum(parameter.numel() for parameter in parameters) / 1e6


def _official(backbone: InternVL3, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Every token kept, masked views zero under the attention mask, default positions: as in the release."""
    layout = backbone.prompt.layout(batch.instructions, batch.visible, drop=False)
    embeddings = backbone.model.language_model.embed_tokens(layout.ids)
    embeddings[layout.image] = backbone.see(batch.images).flatten(0, 1)
    embeddings[layout.hidden] = 0.0
    answer = backbone.model.language_model(inputs_embeds=embeddings, attention_mask=layout.mask.long())
    return answer.last_hidden_state, layout.mask


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.no_grad()
def test_dropping_equals_masking(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch], attention: str
) -> None:
    dropping = small_backbone(attention=attention)
    masking = small_backbone(attention=attention, masked_views="mask")
    masking.load_state_dict(dropping.state_dict())
    batch = make_batch(PATTERNS)
    dropped, masked = dropping(batch), masking(batch)
    assert masked.embeddings.shape[1] > dropped.embeddings[3:].shape[1]
    torch.testing.assert_close(
        dropped.embeddings[dropped.mask], masked.embeddings[masked.mask], atol=1e-5, rtol=0, check_stride=False
    )
    assert torch.equal(dropped.image.sum(1), masked.image.sum(1))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("masked_views", ["drop", "mask"])
@torch.no_grad()
def test_agrees_with_transformers_own_masking(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch], attention: str, masked_views: str
) -> None:
    backbone = small_backbone(attention=attention, masked_views=masked_views)
    reference = small_backbone(attention="eager")
    reference.load_state_dict(backbone.state_dict())
    batch = make_batch(PATTERNS)
    tokens = backbone(batch)
    expected, mask = _official(reference, batch)
    torch.testing.assert_close(tokens.embeddings[tokens.mask], expected[mask], atol=1e-5, rtol=0)


@torch.no_grad()
def test_agrees_with_transformers_full_model(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone = small_backbone()
    batch = make_batch([[True, True]], instructions=("  Open a drawer ",))
    text = "".join(f"Image-{view}: <img>{'<IMG_CONTEXT>' * 4}</img>\n" for view in (1, 2)) + "Open a drawer"
    ids = backbone.tokenizer(text, return_tensors="pt").input_ids
    pixels = (batch.images / 255 - backbone.mean) / backbone.std
    expected = backbone.model(input_ids=ids, pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(backbone(batch).embeddings, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_images_go_where_the_index_says(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone, batch = small_backbone(), make_batch([[True, True], [True, True]])
    order = torch.tensor([2, 0, 3, 1])
    shuffled = replace(batch, images=batch.images[order], image_index=order.argsort()[batch.image_index])
    torch.testing.assert_close(backbone(shuffled).embeddings, backbone(batch).embeddings)


@torch.no_grad()
def test_image_tokens_cannot_read_the_instruction(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone, batch = small_backbone(), make_batch([[True, True]] * 2)
    tokens, other = backbone(batch), backbone(replace(batch, instructions=("wait", "press a button")))
    assert torch.equal(tokens.embeddings[tokens.image], other.embeddings[other.image])


def test_without_vision_the_vision_tower_does_not_run(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone, seen = small_backbone(), []
    backbone.model.vision_tower.register_forward_hook(
        lambda _, inputs, kwargs, __: seen.append(kwargs), with_kwargs=True
    )
    backbone(make_batch([[False, False]] * 3))
    assert seen == []
    backbone(make_batch([[True, False], [False, False], [True, True]]))
    assert [len(kwargs["pixel_values"]) for kwargs in seen] == [3]


def test_a_batch_may_have_fewer_views_than_the_backbone(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone, batch = small_backbone(), make_batch([[True, False]])
    narrow = replace(batch, image_index=batch.image_index[:, :1])
    assert torch.equal(backbone(narrow).embeddings, backbone(batch).embeddings)
    with pytest.raises(ValueError, match="2 view slots, the batch 3"):
        backbone(make_batch([[True, False, True]]))


def test_images_of_other_sizes_are_squashed(small_backbone: Callable[..., InternVL3]) -> None:
    backbone = small_backbone()
    plain = torch.full((1, 3, 30, 50), 200, dtype=torch.uint8)
    torch.testing.assert_close(backbone.see(plain), backbone.see(plain[..., :16, :16]))


def test_frozen_vision_builds_no_graph(
    small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone, batch = small_backbone(), make_batch([[True, True]])
    for parameter in backbone.parts()["vision"]:
        parameter.requires_grad_(False)
    assert not backbone.see(batch.images).requires_grad
    assert backbone(batch).embeddings.requires_grad
    for parameter in backbone.parameters():
        parameter.requires_grad_(False)
    assert not backbone(batch).embeddings.requires_grad


def test_parameter_counts_of_1b() -> None:
    with torch.device("meta"):
        backbone = InternVL3("1b")
    parts = {name: _millions(parameters) for name, parameters in backbone.parts().items()}
    projector = _millions(list(backbone.model.multi_modal_projector.parameters()))
    assert parts["vision"] - projector == pytest.approx(304.0, abs=0.05)
    assert projector == pytest.approx(4.48, abs=0.005)
    assert parts["embeddings"] == pytest.approx(135.9, abs=0.05)
    assert parts["language"] == pytest.approx(208.8, abs=0.05)
    assert backbone.width == 896 and len(backbone.model.language_model.layers) == 14


def test_tiny_shows_64_tokens_per_view(make_batch: Callable[..., Batch]) -> None:
    tokens = InternVL3()(make_batch([[True]], image_px=64, instructions=("wait",)))
    assert tokens.image.sum() == 64 and tokens.mask.sum() == 64 + 5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"vision_width": 40}, "vision_width must be a multiple of 32, got 40"),
        ({"image_px": 20}, "image_px must be a multiple of 8, got 20"),
        ({"language_width": 144}, "language_width / language_head_dim must be a multiple of 2, got 3"),
        ({"image_px": 24, "pixel_shuffle": 0.5}, "multiple of 2, got 3"),
        ({"image_px": 12, "patch_px": 6, "stem": "convolutions"}, "patch_px must be a multiple of 4, got 6"),
        ({"weights": "somewhere"}, "cannot be chosen for published weights"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    small_backbone: Callable[..., InternVL3], changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        small_backbone(**changes)


@pytest.fixture(params=[InternVLForConditionalGeneration, InternVLModel])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, InternVLModel]:
    """A bfloat16 folder as on the hub, four language layers deep, and its model in float32."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    config = SMALL.config()
    config.image_token_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    model = request.param(config)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path, model if request.param is InternVLModel else model.model


@torch.no_grad()
def test_published_weights_load_from_a_folder(
    published: tuple[Path, InternVLModel], make_batch: Callable[..., Batch], caplog: pytest.LogCaptureFixture
) -> None:
    folder, model = published
    backbone = InternVL3(weights=str(folder), language_layers=2, views=2)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert len(backbone.model.language_model.layers) == 2
    assert not caplog.records
    batch = make_batch(PATTERNS)
    tokens = backbone(batch)
    model.language_model.layers = model.language_model.layers[:2]
    model.language_model.config.num_hidden_layers = 2
    backbone.model = model
    expected, mask = _official(backbone, batch)
    torch.testing.assert_close(tokens.embeddings[tokens.mask], expected[mask], atol=1e-5, rtol=0)


def test_damaged_weights_are_refused(published: tuple[Path, InternVLModel]) -> None:
    folder, _ = published
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(next(name for name in tensors if name.endswith(".norm.weight")))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 1 tensors, for one 'language_model\.norm\.weight'"):
        InternVL3(weights=str(folder), language_layers=2)


def test_weights_that_do_not_fit_are_refused(
    published: tuple[Path, InternVLModel], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, _ = published
    with pytest.raises(ValueError, match="have 4 language layers, 14 were asked for"):
        InternVL3("1b", weights=str(folder))
    stranger = tmp_path_factory.mktemp("stranger")
    Qwen2Model(
        Qwen2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=64)
    ).save_pretrained(stranger)
    with pytest.raises(ValueError, match="hold a 'qwen2' model"):
        InternVL3(weights=str(stranger))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_missing_or_damaged_is_one_sentence(published: tuple[Path, InternVLModel], name: str) -> None:
    folder, _ = published
    for content in (None, b"short"):
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=rf"^weights='{folder}' (has no {name}|cannot be read \([^\n]*\)): name"
        ) as told:
            InternVL3(weights=str(folder), language_layers=2)
        assert "\n" not in str(told.value)
        (folder / name).touch()


def test_a_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # asks nobody, and says what an unreachable hub makes it say
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"^weights='nobody/nothing' cannot be read \([^\n]*\): name[^\n]*reached\.$"):
        InternVL3(weights="nobody/nothing")


def test_variants_have_the_published_sizes() -> None:
    assert {name: sizes.config().text_config.num_attention_heads for name, sizes in SIZES.items()} == {
        "tiny": 4, "1b": 14, "2b": 12, "8b": 28,
    }  # fmt: skip
    assert {name: sizes.config().image_seq_length for name, sizes in SIZES.items()} == {
        "tiny": 64, "1b": 256, "2b": 256, "8b": 256,
    }  # fmt: skip
    assert isinstance(AutoConfig.for_model("internvl"), type(SIZES["1b"].config()))
