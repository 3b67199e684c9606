"""Ends a fit when its time is up."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Timer


class TimeLimit(Timer):
    """Lightning's timer for one start of a run: a start that goes on where the time was up has all of it again."""

    def on_fit_start(self, *_: Any, **__: Any) -> None:
        """Nothing is up before the first step."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing that the next start has to know."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Begin at zero."""
