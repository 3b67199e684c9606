"""The prompt holds what the paper's section 7.3 lists, and no placeholder is left open."""

from __future__ import annotations

from dataclasses import replace

from la4vla.construction.keyframes import Keyframe
from la4vla.construction.prompt import write_closing, write_episode, write_retry, write_rules, write_view
from la4vla.construction.vlm.frames import View
from la4vla.construction.vlm.proposals import answer_schema
from la4vla.construction.vlm.request import estimated_tokens, write_question
from la4vla.schema.primitives import DEFINITIONS

KEYFRAMES = [Keyframe(24, "static", 1.2), Keyframe(36, "gripper_close", 1.8)]


def test_rules_hold_vocabulary_definitions_status_directions_and_schema():
    rules = write_rules(answer_schema())
    for primitive, definition in DEFINITIONS.items():
        assert f"- `{primitive}` ({definition.context}, {definition.motion}" in rules and definition.meaning in rules
    for word in ("HOLDING", "EMPTY", "clockwise", "upward", '"additionalProperties":false', "move, grasp, lift"):
        assert word in rules
    assert "$vocabulary" not in rules and "$schema" not in rules and "<!--" not in rules


def test_an_episode_is_described_with_its_keyframes(pick):
    text = write_episode(replace(pick, instruction="Put $5 away"), KEYFRAMES, ["eye", "hand"])
    assert "Put $5 away" in text and "- 1.20s: static\n- 1.80s: gripper_close" in text
    assert f"{len(pick) / 20:.2f} seconds" in text and '"eye", "hand"' in text and "20 steps per second" in text
    assert "- none found" in write_episode(pick, [], ["eye"])
    assert "not recorded" in write_episode(replace(pick, instruction=""), [], ["eye"])


def test_the_smaller_parts():
    assert write_view("wrist") == 'View "wrist":'
    assert write_retry("it is empty").startswith("That answer cannot be used: it is empty.")


def test_the_closing_names_the_end(pick):
    assert write_closing(pick).endswith(f"{len(pick) / 20:.2f} seconds.")


def test_tokens_are_estimated_from_text_and_squares_of_pixels(pick):
    views = [View("eye", (0.0, 0.5), (b"x" * 9000, b"y"), 320, 180)]
    question = write_question(pick, KEYFRAMES, views, answer_schema())
    bare = write_question(pick, KEYFRAMES, [View("eye", (), (), 320, 180)], answer_schema())
    tokens = estimated_tokens(question, views, image_token_px=32)
    assert tokens - estimated_tokens(bare, [], 32) - 2 * (10 * 6 + 2) in range(2, 8)
    assert estimated_tokens(bare, [], 32) in range(1200, 2200)
