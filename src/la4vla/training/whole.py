"""The policy under training as one object, whatever it is spread over."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from lightning import LightningModule

from la4vla.models.policy import Policy
from la4vla.training import zero_state
from la4vla.training.module import is_sharded, policy_of
from la4vla.training.shard_files import whole


def whole_policy(module: LightningModule) -> Policy:
    """The policy that ``module`` trains, on the first process with all its weights; every process must call this.

    Sharded weights are gathered into a copy; a policy that is whole comes back as it is.
    """
    policy = policy_of(module)
    if is_sharded(policy):
        weights = whole(policy.state_dict())
    elif zero_state.is_spread(policy.parameters()):
        weights = zero_state.weights(policy)
    else:
        return policy
    if dist.get_rank():
        return policy
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        structure = Path(folder) / "backbone"
        policy.backbone.save_structure(structure)
        backbone = type(policy.backbone).rebuild(policy.backbone.arguments, structure)
        head = type(policy.head)(**policy.head.arguments)
    copy = Policy(backbone, head, policy.domains, policy.normalization)
    copy.load_state_dict(weights)
    return copy.to(module.device)
