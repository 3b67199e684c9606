"""Operations counted from shapes against those that torch counts as they run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.flops import Pass, chunk_flops, step_flops
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch

LA = [[False, False]] * 3
VLA = [[True, True], [True, True], [True, True]]
MIXED = [[True, True], [False, False], [True, False]]
EVERYTHING = ("vision", "embeddings", "language", "head")
# Where torch counts a product that is none of the network's layers, such as that of positions and rotary frequencies.
TOLERANCE = 1e-3


def _passes(policy: Policy) -> list[Pass]:
    """What will go through the backbone from now on."""
    passes: list[Pass] = []

    def note(_: object, inputs: tuple[Batch], tokens: object) -> None:
        passes.append(Pass(*tokens.mask.shape, len(inputs[0].images)))

    policy.backbone.register_forward_hook(note)
    return passes


@pytest.mark.parametrize("visible", [LA, VLA, MIXED], ids=["la", "vla", "mixed"])
@pytest.mark.parametrize(
    "learning", [EVERYTHING, ("language", "head"), ("head",), ("vision", "head"), ("embeddings",)], ids="-".join
)
@pytest.mark.parametrize(
    "sizes", [{}, {"patch_px": 4, "pixel_shuffle": 0.5}, {"stem": "convolutions"}], ids=["plain", "shuffled", "stem"]
)
def test_a_step_takes_what_torch_counts(
    make_policy: Callable[..., Policy],
    small_backbone: Callable[..., InternVL3],
    make_batch: Callable[..., Batch],
    visible: list[list[bool]],
    learning: tuple[str, ...],
    sizes: dict[str, object],
) -> None:
    policy = make_policy(small_backbone(**sizes)).train()
    for name, parameters in policy.parts().items():
        for parameter in parameters:
            parameter.requires_grad_(name in learning)
    batch, passes = make_batch(visible), _passes(policy)
    with FlopCounterMode(display=False) as counter:
        loss = policy.loss(batch).mean()
        forward = counter.get_total_flops()
        loss.backward()
    tally = step_flops(policy.backbone, policy.head, passes)
    assert tally.forward == pytest.approx(forward, rel=TOLERANCE)
    assert tally.backward == pytest.approx(counter.get_total_flops() - forward, rel=TOLERANCE)


def test_recomputing_is_no_work_of_the_model(
    make_policy: Callable[..., Policy], small_backbone: Callable[..., InternVL3]
) -> None:
    plain, frugal = (make_policy(small_backbone(recompute=again)) for again in (False, True))
    run = Pass(2, 30, 1)
    assert step_flops(plain.backbone, plain.head, [run]) == step_flops(frugal.backbone, frugal.head, [run])


@pytest.mark.parametrize("horizon", [4, 1])
@torch.no_grad()
def test_a_chunk_takes_what_torch_counts(
    small_head: Callable[..., FlowMatchingHead],
    small_backbone: Callable[..., InternVL3],
    make_batch: Callable[..., Batch],
    horizon: int,
) -> None:
    backbone, head = small_backbone().eval(), small_head(horizon=horizon, proprioception_dim=4).eval()
    batch = make_batch([[True, False]] * 2)
    batch = Batch(batch.images, batch.image_index, batch.instructions, batch.proprioception, batch.embodiments)
    with FlopCounterMode(display=False) as counter:
        tokens = backbone(batch)
        head.sample(tokens, batch)
    run = Pass(*tokens.mask.shape, len(batch.images))
    assert chunk_flops(backbone, head, run) == pytest.approx(counter.get_total_flops(), rel=TOLERANCE)


def test_1b_takes_what_is_known() -> None:
    """By estimate, 0.72 TFLOP for a 448 px view, 0.48 for 1024 tokens in full attention, 0.034 for the head."""
    with torch.device("meta"):
        backbone, head = InternVL3("1b"), FlowMatchingHead(896, horizon=50)
    text, both = (step_flops(backbone, head, [Pass(1, 1024, images)]).forward for images in (0, 1))
    assert (both - text) / 1e12 == pytest.approx(0.72, abs=0.02)
    assert text / 1e12 == pytest.approx(0.48 + 0.034, abs=0.005)


def test_who_cannot_count_is_named(aligned: Policy) -> None:
    with pytest.raises(TypeError, match="AlignmentHead cannot say what it costs"):
        step_flops(aligned.backbone, aligned.head, [Pass(1, 1, 1)])
    with pytest.raises(TypeError, match="AlignmentHead a method `count_chunk`"):
        chunk_flops(aligned.backbone, aligned.head, Pass(1, 1, 1))
