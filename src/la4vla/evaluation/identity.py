"""Whose outcomes these are: a name for what acts that changes whenever its behaviour may."""

from __future__ import annotations

import hashlib
import json

import torch

from la4vla.models.masked_policy import MaskedPolicy
from la4vla.models.policy import Policy


def identity_of(actor: object) -> str | None:
    """What tells ``actor`` apart from every other one, or None if nothing does.

    For a policy it is a hash over its weights, statistics, classes and their arguments; for anything else its own
    ``identity``. Two evaluations of equal identity and settings are the same evaluation.
    """
    if isinstance(actor, MaskedPolicy):
        return policy_hash(actor.policy)
    if isinstance(actor, Policy):
        return policy_hash(actor)
    identity = getattr(actor, "identity", None)
    return None if identity is None else str(identity)


def policy_hash(policy: Policy) -> str:
    """16 hexadecimal digits of a SHA-256 over all that decides what ``policy`` does."""
    digest = hashlib.sha256()
    parts = [(type(part).__qualname__, part.arguments) for part in (policy.backbone, policy.head)]
    domains = [domain.to_json() for domain in policy.domains]
    digest.update(json.dumps([parts, policy.normalization, domains], sort_keys=True).encode())
    for name, tensor in sorted(policy.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
