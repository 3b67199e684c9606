"""Replayed answers are those of the functions they stand for."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from la4vla.models.cuda_graphs import RECORDS, Replayed, replay_graphs
from la4vla.models.policy import Policy
from la4vla.schema.observation import Observation

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def chunks(policy: Policy, instruction: str, seed: int, rows: int = 1) -> list[np.ndarray]:
    """What ``policy`` answers to made-up observations."""
    numbers, domain = np.random.default_rng(seed), policy.domains[0]
    size = len(domain.embodiment.proprioception)
    seen = [
        Observation(
            numbers.normal(size=size).astype(np.float32),
            instruction,
            domain.embodiment.name,
            {camera: numbers.integers(0, 256, (16, 16, 3), dtype=np.uint8) for camera in domain.embodiment.cameras},
            view=domain.view.name,
        )
        for _ in range(rows)
    ]
    return [chunk.actions for chunk in policy.act(seen, list(range(rows)))]


@pytest.fixture
def policy(small_backbone, small_head, make_domain) -> Policy:
    backbone = small_backbone()
    return Policy(backbone, small_head(backbone.width), [make_domain("arm", view="front", dims=4)])


def test_without_a_gpu_nothing_changes(policy: Policy) -> None:
    before = chunks(policy, "move forward", 1)
    replay_graphs(policy)
    assert isinstance(policy.head.integrate, Replayed) and isinstance(policy.backbone.see, Replayed)
    np.testing.assert_array_equal(chunks(policy, "move forward", 1), before)


def test_a_copy_runs_on_its_own_weights(policy: Policy) -> None:
    replay_graphs(policy)
    other = copy.deepcopy(policy)
    before = chunks(policy, "move forward", 1)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    np.testing.assert_array_equal(chunks(policy, "move forward", 1), before)
    assert not np.allclose(chunks(other, "move forward", 1), before)


@cuda
@pytest.mark.parametrize("lower", [False, True])
def test_replays_answer_what_the_policy_answered(policy: Policy, lower: bool) -> None:
    policy = policy.cuda()
    asked = [("move forward", 1, 1), ("move forward", 2, 1), ("move left and down", 3, 1), ("move forward", 4, 3)]
    with torch.autocast("cuda", torch.bfloat16, enabled=lower):
        before = [np.stack(chunks(policy, *one)) for one in asked]
        replay_graphs(policy)
        for _ in range(2):  # what records, then what replays
            for one, expected in zip(asked, before, strict=True):
                np.testing.assert_allclose(np.stack(chunks(policy, *one)), expected, rtol=0, atol=1e-5)


@cuda
def test_replays_follow_weights_and_keep_the_last_shapes() -> None:
    linear = torch.nn.Linear(4, 4).cuda().requires_grad_(False)
    replayed: Callable[..., torch.Tensor] = Replayed(lambda x, bias: linear(x) + (0 if bias is None else bias))
    x = torch.randn(2, 4, device="cuda")
    with torch.no_grad():
        assert torch.equal(replayed(x, None), linear(x))
        linear.weight.mul_(2)
        assert torch.equal(replayed(x, None), linear(x))
        for rows in range(1, 2 * RECORDS):
            x = torch.randn(rows, 4, device="cuda")
            assert torch.equal(replayed(x, x), linear(x) + x)
    assert len(replayed._records) == RECORDS
