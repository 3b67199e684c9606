"""The official folder: DeepSpeed's or plain torch's weights, ``config.json`` and ``norm_stats.json``."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from la4vla.models.folders import new_folder, write_object
from la4vla.models.normalizer import Normalization
from la4vla.models.policy import Policy
from la4vla.models.published import vlm_names
from la4vla.models.published.contents import Published, checked, claims, configured, read_json
from la4vla.models.published.domains import to_official
from la4vla.models.published.official_head import OfficialFlowMatchingHead
from la4vla.models.published.official_names import OFFICIAL
from la4vla.models.published.policies import halves_of, weights_of
from la4vla.models.published.precision import narrowed
from la4vla.models.published.renaming import to_theirs

DEEPSPEED, PLAIN = "mp_rank_00_model_states.pt", "checkpoint.pt"
HOLDERS = ("module", "model_state_dict", "model")
REQUIRED = {"action_head": "flowmatching", "return_cls_only": False}
CLAIMS = {
    "embed_dim": "width", "horizon": "horizon", "action_horizon": "horizon", "per_action_dim": "action_dim",
    "state_dim": "proprioception_dim", "num_layers": "layers", "num_heads": "heads", "hidden_dim": "hidden",
    "state_hidden_dim": "proprioception_hidden", "dropout": "dropout",
}  # fmt: skip
NORMALIZATIONS: dict[str, Normalization] = {"bounds": "bounds", "bounds_q99": "quantiles", "normal": "zscore"}
# What DeepSpeed's engine reads beside the weights: a beginning, on one process.
COUNTS = {"dp_world_size": 1, "mp_world_size": 1, "global_steps": 0, "global_samples": 0, "skipped_steps": 0}
# The servers ignore num_inference_timesteps and the number of cameras: they always take 32 steps and three views.
SERVED_STEPS, VIEWS = 32, 3


def read(folder: Path) -> Published:
    """What the official checkpoint in ``folder`` holds.

    Raises:
        ValueError: If a file is missing, damaged, or describes another architecture.
    """
    path = folder / (DEEPSPEED if (folder / DEEPSPEED).is_file() else PLAIN)
    config = read_json(folder / "config.json")
    checked(folder / "config.json", config, REQUIRED)
    name = config.get("normalization_type") or "bounds"
    if name not in NORMALIZATIONS:
        raise ValueError(f"{folder / 'config.json'} has normalization_type={name!r}, not one of {[*NORMALIZATIONS]}.")
    return Published(
        path=path,
        tensors=load_tensors(path),
        rules=OFFICIAL,
        claims=claims(config, CLAIMS),
        statistics=read_json(folder / "norm_stats.json"),
        normalization=NORMALIZATIONS[name],
        integration_steps=SERVED_STEPS,
        views=VIEWS,
        vlm=vlm_names.from_official(config.get("vlm_name")),
    )


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The weights in ``path``, mapped into memory rather than read; no code in the file is run.

    Raises:
        ValueError: If the file is damaged, needs code to be read, or holds no weights.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: name a folder with {DEEPSPEED} or {PLAIN}.")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds more than tensors and plain values, which is never run here.") from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged or older than torch 1.6's format: copy or save it again.") from error
    holder = next((key for key in HOLDERS if isinstance(content, dict) and isinstance(content.get(key), dict)), None)
    if holder is None:
        raise ValueError(f"{path} must hold its weights under one of {HOLDERS}.")
    tensors: dict[str, Tensor] = {k: v for k, v in content[holder].items() if isinstance(v, Tensor)}
    if not tensors or any(tensor.numel() == 0 for tensor in tensors.values()):
        raise ValueError(f"{path} has empty weights, as ZeRO stage 3 writes: gather them with zero_to_fp32.py first.")
    return tensors


def write(policy: Policy, folder: Path, arm: str | None = None, dataset: str | None = None) -> None:
    """Writes ``policy`` as the official code would have saved it; the folder appears when it is complete.

    Weights are bfloat16, as there, if that loses nothing, else float32. DeepSpeed's engine loads the folder with
    ``load_checkpoint(PARENT, tag=NAME, load_optimizer_states=False)``; an optimizer's state it has none.

    Args:
        policy: An InternVL3 with a flow-matching head that predicts velocities.
        folder: Must not exist.
        arm: Key of the statistics; None takes the embodiment's name.
        dataset: Key below it; None writes ``la4vla``.

    Raises:
        ValueError: If the official layout cannot hold this policy, or ``folder`` exists.
    """
    files = {
        "config.json": _config(policy),
        "norm_stats.json": to_official(policy.domains, policy.normalization, arm, dataset or "la4vla"),
        "checkpoint.json": {"type": "ds_model", "version": 0.0, "checkpoints": DEEPSPEED},
    }
    module = narrowed(to_theirs(weights_of(policy), OFFICIAL), (), isinstance(policy.head, OfficialFlowMatchingHead))
    with new_folder(folder) as whole:
        torch.save({"module": module, **COUNTS}, whole / DEEPSPEED)
        for name, content in files.items():
            write_object(whole / name, content)


def _config(policy: Policy) -> dict[str, Any]:
    backbone, head = halves_of(policy, "The official")
    named = configured(head, {theirs: ours for theirs, ours in CLAIMS.items() if theirs != "action_horizon"})
    normalization = next(theirs for theirs, ours in NORMALIZATIONS.items() if ours == policy.normalization)
    return {
        **REQUIRED, **named, "num_categories": 1, "num_inference_timesteps": head.integration_steps,
        "vlm_name": vlm_names.to_official(vlm_names.of(backbone)),
        "image_size": backbone.image_px, "normalization_type": normalization,
    }  # fmt: skip
