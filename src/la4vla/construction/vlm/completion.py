"""A completion as servers send it, and the reason in an error of theirs."""

from __future__ import annotations

import json
from typing import Any

from la4vla.construction.vlm.answers import Answer

try:
    import openai
    from pydantic import BaseModel
except ImportError as error:
    raise ImportError("Asking a vision-language model needs more packages: pip install la4vla[construct].") from error

LONGEST_REASON = 300


class _Message(BaseModel):
    content: str | list[Any] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


def read_completion(reply: str) -> Answer | None:
    """The answer in a completion; one without choices is an empty answer. None where it is no completion.

    What a server may leave out it may also send as null; a completion was paid for, so none is refused for that. Half a
    character, which JSON can spell and no file can hold, becomes a question mark.
    """
    try:
        completion = _Completion.model_validate(_whole(json.loads(reply)))
    except (ValueError, RecursionError):
        return None
    usage = completion.usage or _Usage()
    text, refusal, finish_reason = "", "", ""
    if completion.choices:
        first = completion.choices[0]
        text, refused = _content(first.message.content or "")
        refusal, finish_reason = first.message.refusal or refused, first.finish_reason or ""
    tokens = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return Answer(text, completion.model or "", finish_reason, *tokens, refusal)


def _content(content: str | list[Any]) -> tuple[str, str]:
    """The text and the refusal in a message's content, which may be a list of typed parts; thoughts are neither."""
    if isinstance(content, str):
        return content, ""
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    parts = [part for part in parts if isinstance(part, dict)]
    text = [str(part.get("text") or "") for part in parts if part.get("type") in ("text", "output_text")]
    refusal = [str(part.get("refusal") or "") for part in parts if part.get("type") == "refusal"]
    return "".join(text), "".join(refusal)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def told(error: openai.APIStatusError) -> str:
    """The status and the provider's own reason, in one line."""
    body = error.body
    reason: Any = body
    if isinstance(body, dict):
        reason = next((body[name] for name in ("message", "detail", "error", "msg") if body.get(name)), body)
    words = " ".join((reason if isinstance(reason, str) else json.dumps(reason)).split()) if reason else ""
    code = f" ({error.code})" if error.code and error.code not in (str(error.status_code), words) else ""
    return f"status {error.status_code}{': ' if words else ''}{words[:LONGEST_REASON].rstrip(' .')}{code}"
