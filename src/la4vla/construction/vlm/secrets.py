"""Keys and passwords that must not be printed or kept, and texts freed of them."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator
from string import Template
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

HIDDEN = "[hidden]"
SHORTEST = 4  # what is shorter is no secret, and would blot out common words
TELLING = re.compile(r"key|token|secret|passw|sig|auth|credential|^code$", re.IGNORECASE)


class Scrubber:
    """Takes secrets out of texts, in whatever form they are written there.

    Args:
        secrets: The secrets; empty ones are passed over.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True)))) if forms else None

    def scrub(self, text: str) -> str:
        """``text`` with every secret replaced."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


def _forms(secret: str) -> Iterator[str]:
    """The secret raw, without blanks around it, escaped, URL-encoded, and within the base64 of something longer."""
    for text in {secret, secret.strip()}:
        yield from (text, repr(text)[1:-1], json.dumps(text)[1:-1], quote(text, safe=""), quote_plus(text), quote(text))
    data = secret.strip().encode()
    for before in range(3) if len(data) >= 2 * SHORTEST else ():
        # A base64 letter holds six bits; those that share bits with neighbours are left out.
        inside = slice(-(-before * 8 // 6), (before + len(data)) * 8 // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + data).decode()[inside]


def read_key(variable: str, whom: str) -> str:
    """The key in the environment ``variable``, without blanks and line ends around it.

    Raises:
        ValueError: If there is none, or it holds what no header can; the key is not told.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ValueError(f"The environment variable {variable} must hold the key of {whom}.")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(
            f"The key in the environment variable {variable} holds a control character or one outside ASCII, which no "
            "key has; copy it anew (it is not shown here)."
        )
    return key


def check_url(url: str) -> None:
    """Refuse an address that holds a password in plain words: it is kept in manifests and data cards.

    Raises:
        ValueError: If it does; the password is not told.
    """
    parts = urlsplit(url)
    plain = [parts.password or ""] + [value for name, value in parse_qsl(parts.query) if TELLING.search(name)]
    if any(value and not re.fullmatch(r"\$\{\w+\}", value) for value in plain):
        raise ValueError(
            "base_url holds a password or key, which would be published with the data: name an environment variable "
            "in its place, as in https://user:${PASSWORD}@host/v1, or use api_key_env."
        )


def filled_url(url: str) -> tuple[str, list[str]]:
    """``url`` with every ``${NAME}`` replaced by that environment variable, and what was put in.

    Raises:
        ValueError: If a variable is not set.
    """
    names = re.findall(r"\$\{(\w+)\}", url)
    for name in names:
        read_key(name, url)
    values = {name: quote(read_key(name, url), safe="") for name in names}
    return Template(url).safe_substitute(values), [read_key(name, url) for name in names]
