"""Instructions as data sets hold them: sometimes empty, sometimes in a foreign encoding."""

from __future__ import annotations

from la4vla.data.unusable import UnusableEpisode


def checked_text(text: str, episode: str) -> str:
    """The instruction ``text`` without surrounding space; bytes that were no UTF-8 stand in it as lone surrogates.

    Raises:
        UnusableEpisode: If it is empty, or some of its bytes are no UTF-8.
    """
    if not text.strip():
        raise UnusableEpisode(episode, "no instruction", "its instruction is empty.")
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON may also spell half a character, which no bytes stand for
        half = any(0xD800 <= ord(c) < 0xDC80 or 0xDCFF < ord(c) <= 0xDFFF for c in text)
        raw = text.encode(errors="backslashreplace" if half else "surrogateescape")
        sentence = f"its instruction {raw!r} is not UTF-8. Write it again in UTF-8."
        raise UnusableEpisode(episode, "instruction not UTF-8", sentence) from None
    return text.strip()
