"""Random numbers that belong to their sample."""

from __future__ import annotations

import torch

from la4vla.models.heads.draws import beta, uniforms


def test_a_row_is_a_function_of_its_draw_alone() -> None:
    draw = torch.tensor([5, -7, 2**62 + 1])
    rows = uniforms(draw, 40)
    assert torch.equal(rows[[2, 0]], uniforms(draw[[2, 0]], 40))
    assert torch.equal(rows[:, :10], uniforms(draw, 10))


def test_draws_that_differ_in_high_bits_differ() -> None:
    rows = uniforms(torch.tensor([5, 5 + 2**32, 5 + 2**40, 6]), 8)
    assert len({tuple(row.tolist()) for row in rows}) == 4


def test_numbers_are_uniform() -> None:
    numbers = uniforms(torch.arange(400), 100)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert abs(numbers.mean() - 1 / 2) < 0.005 and abs(numbers.var() - 1 / 12) < 0.002
    neighbours = torch.stack([numbers[:-1].flatten(), numbers[1:].flatten()])
    assert abs(torch.corrcoef(neighbours)[0, 1]) < 0.02


def test_an_order_statistic_is_beta_distributed() -> None:
    times = beta(uniforms(torch.arange(20_000), 3), alpha=2)
    at = torch.tensor([0.1, 0.3, 0.5, 0.8])
    expected = 3 * at**2 - 2 * at**3
    found = (times[:, None] < at).float().mean(0)
    torch.testing.assert_close(found, expected, atol=0.012, rtol=0)
