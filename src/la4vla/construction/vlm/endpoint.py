"""A server that speaks OpenAI's chat-completions protocol: a provider's, or a local vLLM, SGLang, llama.cpp ..."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from la4vla.construction.vlm.answers import Answer
from la4vla.construction.vlm.completion import read_completion, told
from la4vla.construction.vlm.secrets import Scrubber, check_url, filled_url, read_key

try:
    import httpx2  # what openai sends with
    import openai
except ImportError as error:
    raise ImportError("Asking a vision-language model needs more packages: pip install la4vla[construct].") from error

# What is wrong here is wrong for every episode, and the user can mend it: the key, the credit, the model.
FATAL = (401, 402, 404)
# The same, told by a word: OpenAI's, and DashScope's for an account in arrears.
FATAL_CODES = ("model_not_found", "invalid_api_key", "insufficient_quota", "billing_not_active", "Arrearage")
# Replies of status 200 that hold no completion, as proxies send them; nothing was billed, and none is kept.
BROKEN_REPLIES = 2
TEXTS = ("text", "model", "finish_reason", "refusal")


class NoAnswer(ValueError):
    """A question that gets no answer: ``reason`` in two or three words, the message in a sentence.

    ``refused`` says that the endpoint is there and would not answer this question.
    """

    def __init__(self, reason: str, sentence: str, refused: bool = False) -> None:
        super().__init__(sentence)
        self.reason, self.refused = reason, refused


@dataclass
class Endpoint:
    """Where a model is asked, and how.

    Rate limits (429), errors of the server (5xx), broken connections and time-outs are tried again by the ``openai``
    client: after the time a Retry-After header names, up to two minutes, else after 0.5, 1, 2, 4, 8, 8, ... seconds.

    Args:
        base_url: Address up to and including ``/v1``; ``${NAME}`` in it stands for an environment variable, so that a
            password need not be written.
        model: Name of the model there.
        api_key_env: NAME of the environment variable that holds the key, which is written nowhere; None for a server
            that wants none.
        temperature: 0 takes the likeliest answer: the same boundaries whenever the same question is asked, and an
            answer is worth keeping. (The paper's value did not survive publication.) None leaves it out.
        max_tokens: Longest answer, in tokens; several times the paper's mean of 354. None leaves it out.
        structured: How the answer's form is enforced: a JSON schema, any JSON, or by the prompt alone, for servers that
            refuse ``response_format``.
        timeout_s: Longest wait for one answer, from sending to its last byte. A provider may bill an answer that came
            too late, so be generous.
        retries: How often one question is tried again.
        give_up_after: Questions in a row without any answer after which the build stops instead of going on to fail
            every episode; counted in each worker process. Refusals of single questions (400, 403, 413, ...) count as
            long as nothing was ever answered.
        extra: Further fields of the request, sent as they are (``{"enable_thinking": false}``).

    Raises:
        ValueError: If a number is out of range.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = 2048
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    timeout_s: float = 180.0
    retries: int = 8
    give_up_after: int = 8
    extra: dict[str, Any] | None = None
    _silence: int = field(default=0, init=False, repr=False, compare=False)
    _refusals: int = field(default=0, init=False, repr=False, compare=False)
    _heard: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_url(self.base_url)
        if self.api_key_env is not None and not re.fullmatch(r"[A-Za-z_]\w*", self.api_key_env):
            raise ValueError(
                "api_key_env must be the name of an environment variable, of letters, digits and underscores, not the "
                "key itself (what came is not shown here)."
            )
        if (
            self.timeout_s <= 0
            or (self.max_tokens is not None and self.max_tokens < 1)
            or self.retries < 0
            or self.give_up_after < 1
        ):
            raise ValueError(
                "timeout_s must be above 0, max_tokens and give_up_after at least 1 and retries at least 0, got "
                f"{self.timeout_s}, {self.max_tokens}, {self.give_up_after} and {self.retries}."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # a client does not travel to other processes

    def body(self, messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> dict[str, Any]:
        """All of a request but the key: what is sent, and what an answer is kept under."""
        body: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        limits = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        body |= {name: value for name, value in limits.items() if value is not None}
        if self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        if self.structured == "json_schema":
            named = {"name": "segments", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return {**body, **(self.extra or {})}

    def ask(self, body: Mapping[str, Any], answered_before: bool = False) -> Answer:
        """Send ``body`` and return what comes back, without keys and passwords.

        Args:
            body: What is sent.
            answered_before: Whether this endpoint is known to answer, so that refusals concern single questions.

        Raises:
            NoAnswer: If this question gets no answer, whatever is tried.
            ValueError: If the key is missing.
            OSError: If no question gets an answer: a wrong key, model or address, no credit, or ``give_up_after`` is
                reached.
        """
        try:
            answer = self._reply(body)
        except NoAnswer as failure:
            # Threads may miss each other's increments; the counts need not be exact.
            self._silence = 0 if failure.refused else self._silence + 1
            self._refusals += failure.refused
            hopeless = self._refusals if failure.refused and not (answered_before or self._heard) else self._silence
            if hopeless >= self.give_up_after:
                raise OSError(
                    f"{self._where} left {hopeless} questions in a row unanswered, the last one so: {failure} "
                    "What was answered is kept; run the same command again when the endpoint answers."
                ) from None
            raise
        self._silence, self._heard = 0, True
        return answer

    def _reply(self, body: Mapping[str, Any]) -> Answer:
        key = read_key(self.api_key_env, self.base_url) if self.api_key_env else "none"
        url, filled = filled_url(self.base_url)
        scrub = Scrubber([key, *filled] if self.api_key_env else filled).scrub
        try:
            for _ in range(BROKEN_REPLIES):
                reply = asyncio.run(self._post(url, key, body))
                if (answer := read_completion(reply)) is not None:
                    hidden: dict[str, Any] = {name: scrub(getattr(answer, name)) for name in TEXTS}
                    return replace(answer, **hidden)
            raise NoAnswer("broken reply", f"The server sends no completion, but: {scrub(reply)[:200]!r}.")
        # Foreign errors are not chained: their texts may hold the key.
        except openai.APITimeoutError:
            raise NoAnswer("timed out", f"No answer within {self.timeout_s:g} s, {1 + self.retries} times.") from None
        except openai.APIConnectionError as error:
            cause = scrub(str(error.__cause__ or error))
            raise NoAnswer("no connection", f"{self._where} cannot be reached ({cause}).") from None
        except openai.APIStatusError as error:
            raise self._status(error, scrub(told(error))) from None

    def _status(self, error: openai.APIStatusError, reason: str) -> NoAnswer | OSError:
        """What an answer that is an error comes to: for this question alone, or for all."""
        if error.status_code in FATAL or error.code in FATAL_CODES or error.type in FATAL_CODES:
            advice = "Check base_url, model, api_key_env and the credit there."
            return OSError(f"{self._where} refuses: {reason}. {advice}")
        if isinstance(error, openai.RateLimitError):
            return NoAnswer("rate limited", f"Still refused after {self.retries} retries: {reason}.")
        if isinstance(error, openai.InternalServerError):
            return NoAnswer("server error", f"{reason} after {self.retries} retries.")
        return NoAnswer("request refused", f"{reason}.", refused=True)

    async def _post(self, url: str, key: str, body: Mapping[str, Any]) -> str:
        async with openai.AsyncOpenAI(
            base_url=url,
            api_key=key,
            timeout=self.timeout_s,
            max_retries=self.retries,
            organization="",
            http_client=_Bounded(self.timeout_s),
        ) as client:
            return await client.post("/chat/completions", body=dict(body), cast_to=str)

    @property
    def _where(self) -> str:
        return f"The endpoint {self.base_url} (model {self.model})"


class _Bounded(openai.DefaultAsyncHttpxClient):
    """A client whose every request ends in time, also while a server sends blanks or single bytes."""

    def __init__(self, longest_s: float) -> None:
        super().__init__()
        self._longest_s = longest_s

    async def send(self, request: Any, **how: Any) -> Any:
        """Send ``request`` and read what comes back, all of it within the time."""
        task = asyncio.ensure_future(super().send(request, **how))
        done, _ = await asyncio.wait({task}, timeout=self._longest_s)
        if done:
            return task.result()
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        raise httpx2.ReadTimeout("the whole answer took too long", request=request)
