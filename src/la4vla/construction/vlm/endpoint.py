"""A server that speaks OpenAI's chat-completions protocol: a provider's, or a local vLLM, SGLang, llama.cpp ..."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from la4vla.construction.vlm.answers import Answer

try:
    import openai
    from pydantic import BaseModel
except ImportError as error:
    raise ImportError("Asking a vision-language model needs more packages: pip install la4vla[construct].") from error

# What is wrong here is wrong for every episode, and the user can mend it.
FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)
# Replies of status 200 that hold no completion, as proxies send them; nothing was billed, and none is kept.
BROKEN_REPLIES = 2


class NoAnswer(ValueError):
    """A question that gets no answer: ``reason`` in two or three words, the message in a sentence."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass
class Endpoint:
    """Where a model is asked, and how.

    Rate limits (429), errors of the server (5xx), broken connections and time-outs are tried again by the ``openai``
    client: after the time a Retry-After header names, up to two minutes, else after 0.5, 1, 2, 4, 8, 8, ... seconds.

    Args:
        base_url: Address up to and including ``/v1``.
        model: Name of the model there.
        api_key_env: NAME of the environment variable that holds the key, which is written nowhere; None for a server
            that wants none.
        temperature: 0 takes the likeliest answer: the same boundaries whenever the same question is asked, and an
            answer is worth keeping. (The paper's value did not survive publication.)
        max_tokens: Longest answer, in tokens; several times the paper's mean of 354.
        structured: How the answer's form is enforced: a JSON schema, any JSON, or by the prompt alone, for servers that
            refuse ``response_format``.
        timeout_s: Longest wait for one answer. A provider may bill an answer that came too late, so be generous.
        retries: How often one question is tried again.
        give_up_after: Questions in a row without any answer after which the build stops instead of going on to fail
            every episode; counted in each worker process.
        extra: Further fields of the request, sent as they are (``{"enable_thinking": false}``).

    Raises:
        ValueError: If a number is out of range.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    temperature: float = 0.0
    max_tokens: int = 2048
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    timeout_s: float = 180.0
    retries: int = 8
    give_up_after: int = 8
    extra: dict[str, Any] | None = None
    _silence: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.max_tokens < 1 or self.retries < 0 or self.give_up_after < 1:
            raise ValueError(
                "timeout_s must be above 0, max_tokens and give_up_after at least 1 and retries at least 0, got "
                f"{self.timeout_s}, {self.max_tokens}, {self.give_up_after} and {self.retries}."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # a client does not travel to other processes

    def body(self, messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> dict[str, Any]:
        """All of a request but the key: what is sent, and what an answer is kept under."""
        body = {
            "model": self.model,
            "messages": list(messages),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        if self.structured == "json_schema":
            named = {"name": "segments", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return {**body, **(self.extra or {})}

    def ask(self, body: Mapping[str, Any]) -> Answer:
        """Send ``body`` and return what comes back.

        Raises:
            NoAnswer: If this question gets no answer, whatever is tried.
            ValueError: If the key is missing.
            OSError: If no question gets an answer: a wrong key, model or address, or ``give_up_after`` is reached.
        """
        try:
            answer = self._reply(body)
        except FATAL as error:
            raise OSError(f"{self._where} refuses: {_status(error)}. Check base_url, model and api_key_env.") from error
        except NoAnswer as failure:
            # Threads may miss each other's increments; the count need not be exact.
            self._silence += 1
            if self._silence >= self.give_up_after:
                raise OSError(
                    f"{self._where} left {self._silence} questions in a row unanswered, the last one so: {failure} "
                    "What was answered is kept; run the same command again when the endpoint answers."
                ) from failure
            raise
        self._silence = 0
        return answer

    def _reply(self, body: Mapping[str, Any]) -> Answer:
        try:
            for _ in range(BROKEN_REPLIES):
                reply = self._client.post("/chat/completions", body=dict(body), cast_to=str)
                if (answer := _read(reply)) is not None:
                    return answer
            raise NoAnswer("broken reply", f"The server sends no completion, but: {reply[:200]!r}.")
        except openai.APITimeoutError as error:
            sentence = f"No answer within {self.timeout_s:g} s, {1 + self.retries} times."
            raise NoAnswer("timed out", sentence) from error
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            raise NoAnswer("no connection", f"{self._where} cannot be reached ({cause}).") from error
        except FATAL:
            raise
        except openai.RateLimitError as error:
            raise NoAnswer("rate limited", f"Still refused after {self.retries} retries.") from error
        except openai.InternalServerError as error:
            sentence = f"{_status(error)} after {self.retries} retries."
            raise NoAnswer("server error", sentence) from error
        except openai.APIStatusError as error:
            raise NoAnswer("request refused", f"{_status(error)}: {error.message[:300]}") from error

    @cached_property
    def _client(self) -> openai.OpenAI:
        key = os.environ.get(self.api_key_env, "") if self.api_key_env else "none"
        if not key:
            raise ValueError(f"The environment variable {self.api_key_env} must hold the key of {self.base_url}.")
        return openai.OpenAI(
            base_url=self.base_url, api_key=key, timeout=self.timeout_s, max_retries=self.retries, organization=""
        )

    @property
    def _where(self) -> str:
        return f"The endpoint {self.base_url} (model {self.model})"


class _Message(BaseModel):
    content: str | None = None


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


def _read(reply: str) -> Answer | None:
    """The answer in a completion; one without choices is an empty answer. None where it is no completion.

    What a server may leave out it may also send as null; a completion was paid for, so none is refused for that. Half a
    character, which JSON can spell and no file can hold, becomes a question mark.
    """
    try:
        completion = _Completion.model_validate(_whole(json.loads(reply)))
    except (ValueError, RecursionError):
        return None
    usage = completion.usage or _Usage()
    text, finish_reason = "", ""
    if completion.choices:
        first = completion.choices[0]
        text, finish_reason = first.message.content or "", first.finish_reason or ""
    return Answer(text, completion.model or "", finish_reason, usage.prompt_tokens or 0, usage.completion_tokens or 0)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _status(error: openai.APIStatusError) -> str:
    return f"status {error.status_code}"
