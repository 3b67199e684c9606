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
        allow_missing: Cameras that observations may lack although the policy was trained to see them.

    Raises:
        ValueError: If an observation does not fit what the policy was trained on.
    """
    _check_names(allow_missing, domains)
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
    finite = np.isfinite(observation.proprioception)
    if not finite.all():
        names = [name for name, known in zip(domain.embodiment.proprioception, finite, strict=True) if not known]
        raise ValueError(
            f"Proprioception must be finite, but {', '.join(names)} of this observation of '{observation.embodiment}' "
            "is NaN or infinite: mend what reads the robot, or stop it."
        )
    return domain


def _check_names(allow_missing: Collection[str], domains: Mapping[str, Domain]) -> None:
    known = sorted({camera for domain in domains.values() for camera in domain.embodiment.cameras})
    named = [allow_missing] if isinstance(allow_missing, str) else allow_missing
    strangers = sorted(set(named) - set(known))
    if strangers or isinstance(allow_missing, str):
        raise ValueError(f"allow_missing is a list of cameras, out of {known}, got {allow_missing!r}.")


def _check_seen(observation: Observation, domain: Domain, views: int, allow_missing: Collection[str]) -> None:
    """Refuse an observation without a camera that the policy was trained to see."""
    trained = () if domain.view is None else domain.view.cameras
    shown = [camera for camera in domain.embodiment.cameras[:views] if camera in trained]
    lacking = [camera for camera in shown if camera not in observation.images and camera not in allow_missing]
    if lacking:
        raise ValueError(
            f"The policy was trained to see {', '.join(shown)} of '{observation.embodiment}', but this observation has "
            f"no image of {', '.join(lacking)}: mend the camera, or act without it by allow_missing={lacking}."
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
