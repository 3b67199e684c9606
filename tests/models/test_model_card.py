"""The card says what is known of a policy, and nothing that is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from la4vla.models.model_card import card
from la4vla.models.policy import Policy

SUCCESS: dict[str, Any] = {
    "steps": 100,
    "benchmark": "metaworld",
    "measured_at_step": 100,
    "seeds": [0, 1, 2, 3],
    "success_rate": 0.75,
    "success_interval": [0.409, 0.9286],
    "episodes": 8,
    "success_by_task": {"reach": 1.0, "push": 0.5},
}
DIRECTION: dict[str, Any] = {
    "steps": 100,
    "direction_shards": "shards/metaworld/heldout_la",
    "direction_following": {
        "masked": {
            "cases": 386.0,
            "directional_alignment_rate": 0.979,
            "directional_alignment_rate_low": 0.96,
            "directional_alignment_rate_high": 0.99,
            "direction_consistency_score": 0.84,
        }
    },
}


@pytest.fixture
def told(make_policy: Callable[..., Policy]) -> Callable[..., str]:
    """``told(results)``: the card of a policy whose run had these results."""

    def tell(results: dict[str, Any] | None) -> str:
        policy = make_policy()
        policy.provenance = {} if results is None else {"results": results}
        return card(policy, "arm/la")

    return tell


def test_the_card_tells_how_it_was_trained(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy()
    policy.provenance = {
        "command": ["python", "-m", "la4vla.fit", "recipes/la.yaml"],
        "sources": {"la": {"vision": "masked"}},
        "effective_batch": 64,
        "git": None,
        "results": {"steps": 100},
    }
    text = card(policy, "arm/la")
    assert "- Command: `python -m la4vla.fit recipes/la.yaml`" in text
    assert "- Sources: la (masked)" in text and "- Steps x effective batch: 100 x 64" in text
    assert "Code" not in text and "Success" not in text


def test_success_has_its_episodes_seeds_and_interval(told: Callable[..., str]) -> None:
    text = told(SUCCESS)
    assert ("**Success in metaworld: 75.0 %** of 8 episodes, 95 % interval 40.9 % to 92.9 %; seeds 0 to 3.\n") in text
    assert "| reach | 100.0 % |\n| push | 50.0 % |\n" in text and "Directions" not in text
    assert "seeds 2, 5. It is of step 50 of 100.\n" in told({**SUCCESS, "seeds": [2, 5], "measured_at_step": 50})


def test_directions_have_their_cases_and_interval(told: Callable[..., str]) -> None:
    text = told(DIRECTION)
    assert "**Directions, on segments of shards/metaworld/heldout_la**" in text
    assert "| masked | 386 | 0.98 (0.96 - 0.99) | 0.84 |\n" in text and "Success" not in text


@pytest.mark.parametrize("results", [None, {}, {"steps": 100, "loss": 0.1}])
def test_what_was_not_measured_is_not_told(told: Callable[..., str], results: dict[str, Any] | None) -> None:
    text = told(results)
    assert "measured" not in text and "None" not in text and "interval" not in text
