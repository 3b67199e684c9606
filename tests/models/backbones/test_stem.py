"""Convolutions in place of the patch embedding know a thing wherever it stands, and belong to the eyes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.backbones.stem import ConvolutionalStem
from la4vla.models.policy import Policy


def _projection(backbone: InternVL3) -> nn.Module:
    projection: nn.Module = backbone.model.vision_tower.embeddings.patch_embeddings.projection
    return projection


@pytest.mark.parametrize("patch_px", [4, 8, 12, 16])
@torch.no_grad()
def test_one_answer_per_patch_that_moves_with_the_picture(patch_px: int) -> None:
    stem, picture = ConvolutionalStem(3, 32, patch_px), torch.zeros(1, 3, 8 * patch_px, 8 * patch_px)
    picture[..., 3 * patch_px : 4 * patch_px, 3 * patch_px : 4 * patch_px] = torch.rand(3, patch_px, patch_px)
    seen = stem(picture)
    assert seen.shape == (1, 32, 8, 8)
    moved = stem(picture.roll((patch_px, 2 * patch_px), (2, 3)))
    torch.testing.assert_close(moved[..., 3:7, 4:8], seen[..., 2:6, 2:6], rtol=0, atol=1e-5)


@torch.no_grad()
def test_what_stands_at_a_border_of_patches_is_seen_from_both_sides() -> None:
    plain, told = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    told[..., 15, 15] = 1.0  # the last pixel of patch (0, 0)
    # without the norms, which spread every pixel over the picture
    stem = nn.Sequential(*(layer for layer in ConvolutionalStem(3, 32, 16) if not isinstance(layer, nn.GroupNorm)))
    changed = (stem(told) - stem(plain)).abs().amax(1)[0] > 0
    assert changed[:2, :2].all() and not changed[2:].any() and not changed[:, 2:].any()


def test_without_asking_the_published_map_stays(small_backbone: Callable[..., InternVL3]) -> None:
    plain, convolved = small_backbone(), small_backbone(stem="convolutions")
    assert type(_projection(plain)) is nn.Conv2d and type(_projection(convolved)) is ConvolutionalStem
    stem = {id(parameter) for parameter in _projection(convolved).parameters()}
    assert stem <= {id(parameter) for parameter in convolved.parts()["vision"]}


@torch.no_grad()
def test_a_saved_policy_keeps_its_stem(
    make_policy: Callable[..., Policy], small_backbone: Callable[..., InternVL3], tmp_path: Path
) -> None:
    policy = make_policy(small_backbone(stem="convolutions"))
    policy.save(tmp_path / "policy")
    again = Policy.load(tmp_path / "policy")
    assert isinstance(again.backbone, InternVL3)
    picture = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(again.backbone.see(picture), policy.eval().backbone.see(picture), rtol=0, atol=0)
