"""What agents see, as one batch for a policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch

from la4vla.schema.batch import Batch
from la4vla.schema.observation import Observation
from la4vla.schema.statistics import Domain


def gather(
    observations: Sequence[Observation],
    draws: Sequence[int] | None,
    domains: Mapping[str, Domain],
    views: int,
    allow_missing: Collection[str] = (),
) -> Batch:
    """``observations`` as a batch in physical units; an embodiment's cameras fill the view slots in order.

    Args:
        observations: At least one.
        draws: One seed per observation, or None.
        domains: What the policy was trained on, by embodiment name.
        views: View slots of the backbone.
        allow_missing: Cameras whose images an observation may lack although the policy was trained to see them.

    Raises:
        ValueError: If an observation does not fit what the policy was trained on.
    """
    images: list[np.ndarray] = []
    index = np.full((len(observations), views), -1)
    for row, observation in enumerate(observations):
        domain = _checked(observation, domains)
        _check_seen(observation, domain, views, allow_missing)
        for slot, camera in enumerate(domain.embodiment.cameras[:views]):
            if camera in observation.images:
                index[row, slot] = len(images)
                images.append(observation.images[camera])
    if draws is not None and len(draws) != len(observations):
        raise ValueError(f"Give one draw per observation, got {len(draws)} draws for {len(observations)} observations.")
    return Batch(
        images=_stacked(images),
        image_index=torch.from_numpy(index),
        instructions=tuple(observation.instruction for observation in observations),
        proprioception=_padded([observation.proprioception for observation in observations]),
        embodiments=tuple(observation.embodiment for observation in observations),
        draw=None if draws is None else torch.tensor(draws, dtype=torch.int64),
    )


def _checked(observation: Observation, domains: Mapping[str, Domain]) -> Domain:
    """The observation's domain, once body, view and sizes are known to be those of the training data."""
    if observation.embodiment not in domains:
        raise ValueError(
            f"The policy was trained on {sorted(domains)}, this observation comes from '{observation.embodiment}'."
        )
    domain = domains[observation.embodiment]
    trained = None if domain.view is None else domain.view.name
    if observation.images and observation.view != trained:
        seen = "without images" if trained is None else f"on view '{trained}'"
        raise ValueError(
            f"The policy was trained {seen}, this observation comes from view '{observation.view}': render the view it "
            "was trained on, or send no images."
        )
    strangers = sorted(set(observation.images) - set(domain.embodiment.cameras))
    if strangers:
        raise ValueError(f"'{observation.embodiment}' has cameras {domain.embodiment.cameras}, not {strangers}.")
    if len(observation.proprioception) != len(domain.embodiment.proprioception):
        raise ValueError(
            f"'{observation.embodiment}' has {len(domain.embodiment.proprioception)} proprioception dimensions, this "
            f"observation has {len(observation.proprioception)}."
        )
    bad = [
        name
        for name, value in zip(domain.embodiment.proprioception, observation.proprioception, strict=True)
        if not np.isfinite(value)
    ]
    if bad:
        raise ValueError(
            f"The proprioception of '{observation.embodiment}' must be finite, but {', '.join(bad)} is not: hold the "
            "robot until its sensors answer."
        )
    return domain


def _check_seen(observation: Observation, domain: Domain, views: int, allow_missing: Collection[str]) -> None:
    """Raise where a camera is dark that the policy was trained to see."""
    seen = () if domain.view is None else domain.view.cameras
    wanted = [camera for camera in domain.embodiment.cameras[:views] if camera in seen and camera not in allow_missing]
    if missing := [camera for camera in wanted if camera not in observation.images]:
        raise ValueError(
            f"The policy was trained to see {', '.join(missing)} of '{observation.embodiment}', and this observation "
            f"has no image of it: send it, or have the policy act without by allow_missing={missing}."
        )


def _stacked(images: Sequence[np.ndarray]) -> torch.Tensor:
    """``(n, 3, h, w)`` uint8."""
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.shape != images[0].shape:
            raise ValueError(
                f"Images of one request are uint8 arrays of one shape (h, w, 3), got {image.dtype} {image.shape} "
                f"beside {images[0].shape}."
            )
    if not images:
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _padded(rows: Sequence[np.ndarray]) -> torch.Tensor:
    """``(B, S)`` float32, zeros behind shorter rows."""
    padded = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.float32)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return torch.from_numpy(padded)
