"""The alignment head looks at images and at nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal
from zlib import crc32

import pytest
import torch
from torch import Tensor

from la4vla.models.backbones.base import Tokens
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.alignment import AlignmentHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.statistics import Domain

SEEN = [[True, False], [False, True]]


def test_loss_is_a_function_of_the_images_alone(aligned: Policy, make_batch: Callable[..., Batch]) -> None:
    caught: list[Tensor] = []
    aligned.head.out.register_forward_hook(lambda _, inputs, answer: caught.append(answer))
    batch = make_batch(SEEN)
    for changed in (
        batch,
        replace(batch, instructions=("wait", "wait and stay still")),
        replace(batch, images=255 - batch.images),
    ):
        aligned.head.loss(aligned.backbone(changed), aligned._normalised(changed))
    torch.testing.assert_close(caught[0], caught[1], atol=1e-6, rtol=0)
    assert not torch.allclose(caught[0], caught[2], atol=1e-3)


def test_its_backbone_is_spared_the_instructions(aligned: Policy, make_batch: Callable[..., Batch]) -> None:
    lengths: list[int] = []
    aligned.backbone.register_forward_hook(lambda _, inputs, tokens: lengths.append(tokens.mask.shape[1]))
    batch = make_batch(SEEN)
    spared = aligned.loss(batch)
    batch = aligned._normalised(batch)
    told = aligned.head.loss(aligned.backbone(batch), batch)
    assert lengths[0] < lengths[1]
    torch.testing.assert_close(spared, told, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("error", "weight"), [("squared", 1.0), ("absolute", 4.0)])
def test_loss_is_its_equation(error: Literal["squared", "absolute"], weight: float) -> None:
    head = AlignmentHead(8, 2, buckets=16, queries=1, heads=1, pose_error=error, pose_weight=weight)
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.bias.copy_(torch.linspace(-1, 1, 18))
    image = torch.ones(1, 3, dtype=torch.bool)
    batch = Batch(
        images=torch.empty(0), image_index=torch.zeros(1, 1, dtype=torch.int64), instructions=("Open the DOOR, open!",),
        proprioception=torch.tensor([[0.25, -0.5]]), embodiments=("arm",),
    )  # fmt: skip
    loss = head.loss(Tokens(torch.randn(1, 3, 8), image, image), batch)
    guess = torch.linspace(-1, 1, 18)
    missed = guess[:2] - batch.proprioception[0]
    pose = weight * (missed.square() if error == "squared" else missed.abs()).mean()
    buckets = {crc32(word) % 16 for word in (b"open", b"the", b"door")}
    chance = guess[2:].sigmoid()
    present = torch.stack([-chance[i].log() for i in buckets]).mean()
    absent = torch.stack([-(1 - chance[i]).log() for i in range(16) if i not in buckets]).mean()
    torch.testing.assert_close(loss, (pose + (present + absent) / 2)[None])


def test_the_chunk_counts_where_it_is_valid(
    make_domain: Callable[..., Domain], small_backbone: Callable[..., InternVL3], make_batch: Callable[..., Batch]
) -> None:
    backbone = small_backbone()
    head = AlignmentHead(backbone.width, 4, action_dim=4, horizon=4, buckets=32)
    policy, batch = Policy(backbone, head, [make_domain()]), make_batch(SEEN)
    mask = batch.action_mask.clone()
    mask[:, 2:] = False
    masked = replace(batch, action_mask=mask)
    loud = replace(masked, actions=torch.where(mask, batch.actions, 9.0))
    assert torch.equal(policy.loss(masked), policy.loss(loud))
    assert (policy.loss(masked) != policy.loss(batch)).all()
    with pytest.raises(ValueError, match="chunks of 4 steps x 4 dimensions, the data holds 5 x 4"):
        policy.loss(make_batch(SEEN, horizon=5))
    with pytest.raises(ValueError, match="needs actions and action_mask"):
        policy.loss(replace(batch, actions=None))


def test_a_sample_without_image_is_refused(aligned: Policy, make_batch: Callable[..., Batch]) -> None:
    with pytest.raises(ValueError, match="holds samples without any"):
        aligned.loss(make_batch([[True, True], [False, False]]))


def test_it_learns(aligned: Policy, make_batch: Callable[..., Batch]) -> None:
    batch = make_batch(SEEN)
    optimizer = torch.optim.AdamW(aligned.parameters(), lr=3e-3)
    before = aligned.loss(batch).mean().item()
    for _ in range(15):
        optimizer.zero_grad()
        aligned.loss(batch).mean().backward()
        optimizer.step()
    assert aligned.loss(batch).mean().item() < before / 3
