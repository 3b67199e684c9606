"""What asking costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Answers that were paid for, and the tokens they were billed at."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.answers + other.answers,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True)
class Price:
    """A provider's price per million tokens.

    Args:
        prompt: Price of a million tokens sent.
        completion: Price of a million tokens received.
        currency: In which currency.
    """

    prompt: float
    completion: float
    currency: str = "USD"

    def of(self, usage: Usage) -> float:
        """The price of ``usage``."""
        return (self.prompt * usage.prompt_tokens + self.completion * usage.completion_tokens) / 1e6


def bill_line(usage: Usage, episodes: int, price: Price | None) -> str:
    """``usage`` over ``episodes`` episodes in one line, per episode and, where a price is known, in money."""
    each = max(episodes, 1)
    line = (
        f"{usage.prompt_tokens:,} tokens in and {usage.completion_tokens:,} out "
        f"({usage.prompt_tokens / each:,.0f} + {usage.completion_tokens / each:,.0f} per episode)"
    )
    if price is None:
        return f"{line}; give the segmenter a price to see the cost"
    cost = price.of(usage)
    return f"{line}: {cost:,.2f} {price.currency}, {cost / each:.5f} per episode"
