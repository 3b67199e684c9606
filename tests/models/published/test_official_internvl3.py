"""The official backbone against the official equations, written out in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from literal import Literal
from torch import Tensor

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.policy import Policy
from la4vla.models.published.official_internvl3 import OfficialInternVL3
from la4vla.schema.batch import Batch

PATTERNS = [[True, True, True], [True, False, False], [False, True, False], [False, False, False]]


def seen_by(batch: Batch) -> list[list[Tensor]]:
    """Per sample the images it sees, in 0..1."""
    return [[batch.images[i] / 255 for i in row.tolist() if i >= 0] for row in batch.image_index]


@pytest.fixture
def batch(make_batch: Callable[..., Batch]) -> Batch:
    return make_batch(PATTERNS)


@pytest.mark.parametrize(("masked_queries", "length"), [("zero", 1024), ("zero", 64), ("attend", 64)])
@torch.no_grad()
def test_agrees_with_the_official_equations(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    literal: Literal,
    make_batch: Callable[..., Batch],
    masked_queries: str,
    length: int,
) -> None:
    policy = load_official(save_official(), prompt_tokens=length, compat=True, masked_queries=masked_queries)
    backbone, batch = policy.backbone, make_batch(PATTERNS[1:3] if length == 1024 else PATTERNS)
    tokens = backbone(batch)
    expected = literal.fuse(backbone.tokenizer, batch.instructions, seen_by(batch), masked_queries == "zero", length)
    assert tokens.embeddings.shape == expected.shape == (len(batch), length, 32) and tokens.mask.all()
    torch.testing.assert_close(tokens.embeddings, expected, atol=1e-5, rtol=0)
    assert tokens.image.sum(1).tolist() == [4 * len(views) for views in seen_by(batch)]


@torch.no_grad()
def test_what_masked_queries_see_decides_on_masked_positions_alone(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], make_batch: Callable[..., Batch]
) -> None:
    folder, batch = save_official(), make_batch([[True, False, False]])
    policies = [load_official(folder, compat=True, masked_queries=choice) for choice in ("zero", "attend")]
    zero, attend = (policy.backbone(batch).embeddings for policy in policies)
    mask = policies[0].backbone.prompt.layout(batch.instructions, batch.visible, drop=False).mask
    mask = F.pad(mask, (0, 64 - mask.shape[1]))
    assert (zero - attend)[mask].abs().max() < 1e-5 < 1e-2 < (zero - attend)[~mask].abs().amax(-1).min()


@torch.no_grad()
def test_eager_attention_gives_the_same(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], batch: Batch, tmp_path: Path
) -> None:
    policy = load_official(save_official(), compat=True)
    policy.backbone.save_structure(tmp_path / "structure")
    eager = OfficialInternVL3.rebuild({**policy.backbone.arguments, "attention": "eager"}, tmp_path / "structure")
    eager.load_state_dict(policy.backbone.state_dict())
    torch.testing.assert_close(eager(batch).embeddings, policy.backbone(batch).embeddings, atol=1e-5, rtol=0)


@torch.no_grad()
def test_only_the_order_of_views_counts(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], make_batch: Callable[..., Batch]
) -> None:
    backbone = load_official(save_official(), compat=True).backbone
    torch.manual_seed(1)
    first = make_batch([[True, False, False]])
    torch.manual_seed(1)
    third = make_batch([[False, False, True]])
    torch.manual_seed(1)
    narrow = make_batch([[True]])
    assert torch.equal(backbone(first).embeddings, backbone(third).embeddings)
    assert torch.equal(backbone(first).embeddings, backbone(narrow).embeddings)
    with pytest.raises(ValueError, match="3 view slots, the batch 4"):
        backbone(make_batch([[True] * 4]))


def test_prompts_that_do_not_fit_are_refused(
    save_official: Callable[..., Path],
    load_official: Callable[..., Policy],
    make_batch: Callable[..., Batch],
    tmp_path: Path,
) -> None:
    backbone = load_official(save_official(), compat=True).backbone
    with pytest.raises(ValueError, match=r"has [0-9]+ tokens and the backbone reads at most"):
        backbone(make_batch([[False]], instructions=("open " * 2000,)))
    backbone.save_structure(tmp_path / "structure")
    with pytest.raises(ValueError, match="no room is left in prompt_tokens=20"):
        OfficialInternVL3.rebuild({**backbone.arguments, "prompt_tokens": 20}, tmp_path / "structure")


@torch.no_grad()
def test_starts_from_published_vlm_weights_too(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], batch: Batch, tmp_path: Path
) -> None:
    backbone = load_official(save_official(), compat=True).backbone
    backbone.model.save_pretrained(tmp_path / "hf")
    backbone.tokenizer.save_pretrained(tmp_path / "hf")
    fresh = OfficialInternVL3(str(tmp_path / "hf"), language_layers=2, prompt_tokens=64)
    assert torch.equal(fresh(batch).embeddings, backbone(batch).embeddings)


@torch.no_grad()
def test_the_corrected_backbone_agrees_where_nothing_is_masked(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], make_batch: Callable[..., Batch]
) -> None:
    folder = save_official()
    batch = make_batch([[True, True, True], [True, True, True]])
    official, corrected = (load_official(folder, compat=compat).backbone for compat in (True, False))
    assert type(corrected) is InternVL3 and corrected.views == 3
    tokens = corrected(batch)
    length = tokens.mask.shape[1]
    expected = official(batch).embeddings[:, :length]
    torch.testing.assert_close(tokens.embeddings[tokens.mask], expected[tokens.mask], atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter(
    save_official: Callable[..., Path], load_official: Callable[..., Policy], make_batch: Callable[..., Batch]
) -> None:
    backbone = load_official(save_official(), compat=True).backbone
    backbone(make_batch([[True, False, False]])).embeddings.square().mean().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
