"""Groups and schedules."""

import pytest
import torch
from torch import nn

from la4vla.training.optimizers import parameter_groups, warmup_cosine


def test_vectors_are_not_decayed_and_parts_have_their_rate():
    parts = {"head": list(nn.Linear(2, 3).parameters()), "language": [nn.Parameter(torch.ones(4))]}
    groups = parameter_groups(parts, {"language": 0.25}, learning_rate=1e-2, weight_decay=0.1)
    told = {(g["part"], g["weight_decay"]): (g["lr"], [tuple(p.shape) for p in g["params"]]) for g in groups}
    assert told == {
        ("head", 0.1): (1e-2, [(3, 2)]),
        ("head", 0.0): (1e-2, [(3,)]),
        ("language", 0.0): (0.25e-2, [(4,)]),
    }


def test_the_schedule_waits_rises_and_ends_at_zero():
    factor = warmup_cosine(start=10, warmup=5, total=100)
    assert factor(9) == 0
    assert [factor(s) for s in range(10, 15)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factor(15) == pytest.approx(1.0)
    assert factor(100) == pytest.approx(0.0)
    assert all(factor(s) >= factor(s + 1) for s in range(15, 100))


def test_the_cosine_is_at_its_middle_half_way():
    factor = warmup_cosine(start=0, warmup=0, total=100)
    assert factor(50) == pytest.approx(0.5)
