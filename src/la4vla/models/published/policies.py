"""From what a published checkpoint holds to a policy."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.models.published import vlm_names
from la4vla.models.published.contents import Published, one_category, read_json
from la4vla.models.published.official_head import OfficialFlowMatchingHead
from la4vla.models.published.official_internvl3 import OfficialInternVL3
from la4vla.models.published.renaming import published_name, to_ours, to_theirs
from la4vla.models.published.sources import local
from la4vla.schema.statistics import Domain

LANGUAGE = "backbone.model.language_model."
STRUCTURE = ["config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"]
# What 1,024 tokens leave to the instruction beside three views and their wrappers.
INSTRUCTION_TOKENS = 230
# A bfloat16 sine is off by up to 2^-9, a float32 one of 1,000 radians by about 1e-4.
TABLE_TOLERANCE = 5e-3

Lookup = Literal["la4vla", "evo1"]
TIME_SCALES: dict[Lookup, int] = {"la4vla": 999, "evo1": 1000}


def build(
    published: Published,
    domain: Domain,
    vlm: str,
    category: int | None = None,
    integration_steps: int | None = None,
    compat: bool = False,
    masked_queries: Literal["zero", "attend"] = "zero",
    times: Lookup = "la4vla",
) -> Policy:
    """A policy with the published weights, in evaluation mode.

    Args:
        published: What a folder held.
        domain: Body, view and statistics.
        vlm: Hub id or local folder in the layout of ``OpenGVLab/InternVL3-1B-hf``, for sizes and tokenizer.
        category: Which of several sets of head weights to take.
        integration_steps: Euler steps; None takes those of the published code.
        compat: Whether to reproduce the official arithmetic; see the two official classes.
        masked_queries: With ``compat``, what attention answers to masked positions.
        times: With ``compat``, whose code looks up flow times.

    Raises:
        ValueError: If the weights are not those of this architecture; the sentence names a tensor.
    """
    tensors = one_category(published.tensors, category, published.path)
    ours = to_ours(tensors, published.rules, published.path)
    steps = published.integration_steps if integration_steps is None else integration_steps
    head = _head(published, ours, steps, TIME_SCALES[times], compat)
    layers = len({name.split(".")[4] for name in ours if name.startswith(f"{LANGUAGE}layers.")})
    if not layers:
        missing = published_name(f"{LANGUAGE}layers.0.self_attn.q_proj.weight", published.rules)
        raise ValueError(f"{published.path} lacks '{missing}'.")
    backbone = _backbone(vlm, layers, published.views, compat, masked_queries)
    # A folder of this machine says nothing to anybody else.
    backbone.arguments["weights"] = vlm_names.repository(vlm) or published.vlm
    policy = Policy(backbone, head, [domain], published.normalization)
    _compare(policy, tensors, published)
    if not compat:
        _check_tables(head, ours, published)
    expected = policy.state_dict()
    policy.load_state_dict({name: ours.get(name, tensor) for name, tensor in expected.items()})
    return policy.eval()


def halves_of(policy: Policy, layout: str) -> tuple[InternVL3, FlowMatchingHead]:
    """Backbone and head of a policy that a published layout can hold.

    Raises:
        ValueError: If it cannot; the sentence begins with ``layout`` (``The official``).
    """
    backbone, head = policy.backbone, policy.head
    if not isinstance(head, FlowMatchingHead) or head.predicts != "velocity" or head.horizon == 1:
        raise _unfit(layout, "flow-matching heads that predict velocities of longer chunks only")
    if head.arguments["feedforward"] != 4:
        raise _unfit(layout, f"heads with feedforward=4, not {head.arguments['feedforward']}")
    if not isinstance(backbone, InternVL3):
        raise _unfit(layout, f"InternVL3 policies, this one has a {type(backbone).__name__}")
    if backbone.arguments.get("stem") == "convolutions":
        raise _unfit(layout, "linear maps of patches, this policy has a stem of convolutions")
    return backbone, head


def _unfit(layout: str, held: str) -> ValueError:
    return ValueError(f"{layout} layout holds {held}; layout=la4vla holds every policy.")


def weights_of(policy: Policy) -> dict[str, Tensor]:
    """All that a published layout has names for: the parameters, and the head's fixed tables."""
    tensors = {k: v for k, v in policy.state_dict().items() if not k.startswith("normalizer.")}
    if isinstance(policy.head, FlowMatchingHead):
        tensors |= {"head.times": policy.head.times, "head.steps": policy.head.steps}
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _head(
    published: Published, ours: Mapping[str, Tensor], integration_steps: int, time_scale: int, compat: bool
) -> FlowMatchingHead:
    """The head that fits the tensors, once the configuration has been found to say the same."""

    def size(name: str, axis: int) -> int:
        if name not in ours:
            raise ValueError(f"{published.path} lacks '{published_name(name, published.rules)}'.")
        return ours[name].shape[axis]

    width, hidden = size("head.norm.weight", 0), size("head.out.0.weight", 0)
    layers = len({name.split(".")[2] for name in ours if name.startswith("head.blocks.")})
    sizes = {
        "width": width, "horizon": size("head.pool.weight", 1) // width, "action_dim": size("head.action_in.weight", 1),
        "proprioception_dim": size("head.proprioception.0.weight", 1), "layers": layers, "hidden": hidden,
    }  # fmt: skip
    found = {**sizes, "proprioception_hidden": size("head.proprioception.0.weight", 0)}
    for name, claimed in published.claims.items():
        if name in found and claimed != found[name]:
            raise ValueError(f"{published.path} has {name}={found[name]}, its config.json says {claimed}.")
    if found["proprioception_hidden"] != hidden:
        raise ValueError(f"{published.path} has two MLPs of {found['proprioception_hidden']} and {hidden}: not one.")
    if "heads" not in published.claims:
        raise ValueError(f"The config.json beside {published.path} lacks num_heads, which no tensor shows.")
    arguments: dict[str, Any] = {
        **sizes, "heads": int(published.claims["heads"]), "dropout": published.claims.get("dropout", 0.0),
        "feedforward": size("head.blocks.0.feedforward.0.weight", 0) // width, "integration_steps": integration_steps,
    }  # fmt: skip
    return OfficialFlowMatchingHead(time_scale=time_scale, **arguments) if compat else FlowMatchingHead(**arguments)


def _backbone(vlm: str, layers: int, views: int, compat: bool, masked_queries: Literal["zero", "attend"]) -> InternVL3:
    """The structure alone: the published weights of the VLM are not even downloaded."""
    cls: type[InternVL3] = OfficialInternVL3 if compat else InternVL3
    shared = {"weights": vlm, "language_layers": layers, "attention": "sdpa", "views": views}
    special: dict[str, Any] = {"masked_queries": masked_queries, "prompt_tokens": 1024}
    if not compat:
        overrides = ("image_px", "patch_px", "pixel_shuffle", "vision_width", "vision_layers", "language_width", "stem")
        special = {
            "variant": "1b", "masked_views": "drop", "instruction_tokens": INSTRUCTION_TOKENS,
            **dict.fromkeys(overrides),
        }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        _structure(vlm, layers, Path(scratch))
        return cls.rebuild({**shared, **special}, Path(scratch))


def _structure(vlm: str, layers: int, folder: Path) -> None:
    """Tokenizer and configuration of ``vlm`` in ``folder``, with ``layers`` language layers."""
    source = local(vlm, STRUCTURE, "vlm=")
    for name in ("config.json", "tokenizer.json"):
        if not (source / name).is_file():
            raise ValueError(f"vlm={vlm} has no {name}: name a model in the layout of OpenGVLab/InternVL3-1B-hf.")
    config = read_json(source / "config.json")
    text = config.get("text_config", {})
    if config.get("model_type") != "internvl" or text.get("num_hidden_layers", 0) < layers:
        raise ValueError(
            f"vlm={vlm} must have the layout of OpenGVLab/InternVL3-1B-hf (model type 'internvl') and at least "
            f"{layers} language layers."
        )
    text["num_hidden_layers"], text["layer_types"] = layers, (text.get("layer_types") or [])[:layers] or None
    for part in (config, text, config.get("vision_config", {})):
        # transformers would build the parts in the precision that was published.
        part.pop("dtype", None)
        part.pop("torch_dtype", None)
    for pattern in STRUCTURE[1:]:
        for file in source.glob(pattern):
            shutil.copy(file, folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _compare(policy: Policy, tensors: Mapping[str, Tensor], published: Published) -> None:
    """Names and shapes, in the published layout's own words."""
    blank = {name: tensor.to("meta") for name, tensor in weights_of(policy).items()}
    expected = to_theirs(blank, published.rules)
    for name, tensor in expected.items():
        if name not in tensors:
            raise ValueError(f"{published.path} lacks '{name}'.")
        if tensors[name].shape != tensor.shape:
            raise ValueError(
                f"{published.path} holds '{name}' of shape {tuple(tensors[name].shape)}, this architecture has "
                f"{tuple(tensor.shape)}: is vlm= the model it was trained from?"
            )
    surplus = sorted(tensors.keys() - expected.keys())
    if surplus:
        raise ValueError(f"{published.path} holds '{surplus[0]}', which the model that vlm= names does not have.")


def _check_tables(head: FlowMatchingHead, ours: Mapping[str, Tensor], published: Published) -> None:
    """The fixed tables are recomputed; what was stored must be the same up to bfloat16's rounding."""
    for name, table in (("head.times", head.times), ("head.steps", head.steps)):
        if not torch.allclose(ours[name].float(), table, rtol=0, atol=TABLE_TOLERANCE):
            theirs = published_name(name, published.rules)
            raise ValueError(f"{published.path} holds another table in '{theirs}' than the sinusoids: use compat=true.")
