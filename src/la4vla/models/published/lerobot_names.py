"""Tensor names of LeRobot's Evo-1: transformers' own InternVL classes, and the official head behind a prefix."""

from __future__ import annotations

from la4vla.models.published.official_names import head_rules
from la4vla.models.published.renaming import Rule, rules

EMBEDDER = "model.embedder.model."

LEROBOT: tuple[Rule, ...] = (
    *rules({"**": "**"}, EMBEDDER, "backbone.model."),
    *head_rules("model.action_head."),
)
