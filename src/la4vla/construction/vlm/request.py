"""One episode as the messages of a chat."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from la4vla.construction.keyframes import Keyframe
from la4vla.construction.prompt import duration_s, write_closing, write_episode, write_retry, write_rules, write_view
from la4vla.construction.vlm.answers import Answer
from la4vla.construction.vlm.frames import View
from la4vla.schema.episode import Episode

Message = dict[str, Any]
CHARACTERS_PER_TOKEN = 4.2  # of English and JSON, with the tokenizers of today's models


class Question(NamedTuple):
    """What is asked about one episode, and what is needed to read the answer; no frames are left to decode."""

    key: str
    control_hz: float
    steps: int
    duration_s: float
    messages: tuple[Message, ...]


def write_question(
    episode: Episode, keyframes: Sequence[Keyframe], views: Sequence[View], schema: dict[str, Any]
) -> Question:
    """The rules as the system's message, the episode with its frames as the user's."""
    content = [_text(write_episode(episode, keyframes, [view.camera for view in views]))]
    for view in views:
        content.append(_text(write_view(view.camera)))
        for time_s, jpeg in zip(view.times_s, view.jpegs, strict=True):
            # Models count frames badly, but read times well.
            content += [_text(f"<{time_s:.2f} s>"), _image(jpeg)]
    content.append(_text(write_closing(episode)))
    messages = ({"role": "system", "content": write_rules(schema)}, {"role": "user", "content": content})
    return Question(episode.key, episode.embodiment.control_hz, len(episode), duration_s(episode), messages)


def told_back(answer: Answer, objection: str) -> tuple[Message, Message]:
    """The answer that cannot be used, and what is wrong with it."""
    return (
        {"role": "assistant", "content": answer.text or answer.refusal or "(empty)"},
        {"role": "user", "content": write_retry(objection)},
    )


def estimated_tokens(question: Question, views: Sequence[View], image_token_px: int) -> int:
    """About how many tokens a question is billed at: characters of its text, and squares of pixels of its frames."""
    characters = sum(len(text) for message in question.messages for text in _texts(message["content"]))
    squares = sum(
        len(view.jpegs) * (math.ceil(view.width_px / image_token_px) * math.ceil(view.height_px / image_token_px) + 2)
        for view in views
    )
    return round(characters / CHARACTERS_PER_TOKEN) + squares


def _text(text: str) -> Message:
    return {"type": "text", "text": text}


def _image(jpeg: bytes) -> Message:
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _texts(content: str | Sequence[Mapping[str, Any]]) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
