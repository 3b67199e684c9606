"""Observations that a policy cannot mean are refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from la4vla.models.observations import gather
from la4vla.models.policy import Policy
from la4vla.schema.observation import Observation
from la4vla.schema.statistics import Domain


def test_cameras_fill_the_slots_in_the_embodiments_order(
    make_domain: Callable[..., Domain], make_observation: Callable[..., Observation]
) -> None:
    domains = {"arm": make_domain(cameras=("front", "wrist"))}
    front, wrist = (np.full((16, 16, 3), value, dtype=np.uint8) for value in (1, 2))
    both = make_observation(images={"wrist": wrist, "front": front})
    one = make_observation(images={"wrist": wrist})
    seen = [both, one, make_observation(view=None)]
    batch = gather(seen, [1, 2, 3], domains, views=2, allow_missing=["front"])
    assert batch.image_index.tolist() == [[0, 1], [-1, 2], [-1, -1]]
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2, 2]
    assert batch.draw.tolist() == [1, 2, 3]


def test_proprioception_is_padded_to_the_longest(
    make_domain: Callable[..., Domain], make_observation: Callable[..., Observation]
) -> None:
    domains = {"arm": make_domain(), "hand": make_domain("hand", dims=2)}
    batch = gather([make_observation(), make_observation(dims=2, embodiment="hand")], None, domains, views=1)
    assert batch.proprioception.shape == (2, 4) and (batch.proprioception[1, 2:] == 0).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"embodiment": "leg"}, r"trained on \['arm'\], this observation comes from 'leg'"),
        ({"view": "lerobot", "images": {"front": np.zeros((2, 2, 3), np.uint8)}}, "on view 'front', .* view 'lerobot'"),
        ({"images": {"roof": np.zeros((2, 2, 3), np.uint8)}}, r"not \['roof'\]"),
        ({"proprioception": np.array([0, np.nan, 0, np.inf])}, "must be finite, but axis_1, axis_3 is not"),
        ({"images": {}}, r"trained to see front of 'arm', .* no image of it: .* allow_missing=\['front'\]"),
        ({"view": None}, "trained to see front of 'arm'"),
        ({"dims": 3}, "has 4 proprioception dimensions, this observation has 3"),
        ({"images": {"front": np.zeros((2, 2, 3), np.float32)}}, "uint8 arrays"),
        ({"images": {"front": np.zeros((2, 2, 1), np.uint8)}}, r"\(h, w, 3\), got uint8 \(2, 2, 1\)"),
    ],
)
def test_what_the_policy_was_not_trained_on_is_refused(
    make_policy: Callable[..., Policy],
    make_observation: Callable[..., Observation],
    changes: dict[str, object],
    sentence: str,
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_policy().act([make_observation(**changes)])


def test_images_for_a_policy_trained_without_any_are_refused(
    make_policy: Callable[..., Policy], make_domain: Callable[..., Domain], make_observation: Callable[..., Observation]
) -> None:
    policy = make_policy(domains=[make_domain(view=None)])
    with pytest.raises(ValueError, match="trained without images"):
        policy.act([make_observation()])
    policy.act([make_observation(view=None)])


def test_draws_match_observations(
    make_policy: Callable[..., Policy], make_observation: Callable[..., Observation]
) -> None:
    with pytest.raises(ValueError, match="got 2 draws for 1 observations"):
        make_policy().act([make_observation()], draws=[1, 2])
