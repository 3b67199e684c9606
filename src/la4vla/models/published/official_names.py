"""Tensor names of the official Evo-1 and LA4VLA checkpoints: InternVL's remote code and the authors' head."""

from __future__ import annotations

from la4vla.models.published.renaming import Rule, rules

ATTENTION = "encoder.layer.*.attention."

VISION: dict[str, str | tuple[str, ...] | dict[str, int]] = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "embeddings.patch_embedding.*": "embeddings.patch_embeddings.projection.*",
    # The rows of all queries, then of all keys, then of all values.
    "encoder.layers.*.attn.qkv.*": (f"{ATTENTION}q_proj.*", f"{ATTENTION}k_proj.*", f"{ATTENTION}v_proj.*"),
    "encoder.layers.*.attn.proj.*": f"{ATTENTION}projection_layer.*",
    "encoder.layers.*.norm1.*": "encoder.layer.*.layernorm_before.*",
    "encoder.layers.*.norm2.*": "encoder.layer.*.layernorm_after.*",
    "encoder.layers.*.ls1": "encoder.layer.*.lambda_1",
    "encoder.layers.*.ls2": "encoder.layer.*.lambda_2",
    "encoder.layers.*.mlp.**": "encoder.layer.*.mlp.**",
}
PROJECTOR: dict[str, str | tuple[str, ...] | dict[str, int]] = {
    "0.*": "layer_norm.*",
    "1.*": "linear_1.*",
    "3.*": "linear_2.*",
}
HEAD: dict[str, str | tuple[str, ...] | dict[str, int]] = {
    "state_encoder.fc1.linear.*": "proprioception.0.*",
    "state_encoder.fc2.linear.*": "proprioception.2.*",
    "action_encoder.W1.linear.*": "action_in.*",
    "action_encoder.W2.linear.*": "action_mix.0.*",
    "action_encoder.W3.linear.*": "action_mix.2.*",
    # torch's multi-head attention: queries, keys and values, each `width` rows.
    "transformer_blocks.*.attn.in_proj_weight": {"blocks.*.query.weight": 1, "blocks.*.key_value.weight": 2},
    "transformer_blocks.*.attn.in_proj_bias": {"blocks.*.query.bias": 1, "blocks.*.key_value.bias": 2},
    "transformer_blocks.*.attn.out_proj.*": "blocks.*.attention_out.*",
    "transformer_blocks.*.norm1.*": "blocks.*.attention_norm.*",
    "transformer_blocks.*.norm2.*": "blocks.*.feedforward_norm.*",
    "transformer_blocks.*.ff.**": "blocks.*.feedforward.**",
    "norm_out.*": "norm.*",
    "seq_pool_proj.*": "pool.*",
    "mlp_head.fc1.linear.*": "out.0.*",
    "mlp_head.fc2.linear.*": "out.2.*",
}


def head_rules(prefix: str) -> tuple[Rule, ...]:
    """The head's rules, its published names behind ``prefix``; the fixed tables have a batch axis there."""
    return (
        *rules(HEAD, prefix, "head."),
        Rule(f"{prefix}time_pos_enc.pe", (("head.times", 1),), leading=True),
        Rule(f"{prefix}action_encoder.pos_encoding.pe", (("head.steps", 1),), leading=True),
    )


OFFICIAL: tuple[Rule, ...] = (
    *rules(VISION, "embedder.model.vision_model.", "backbone.model.vision_tower."),
    *rules(PROJECTOR, "embedder.model.mlp1.", "backbone.model.multi_modal_projector."),
    *rules({"**": "**"}, "embedder.model.language_model.model.", "backbone.model.language_model."),
    *head_rules("action_head."),
)
