"""``python -m la4vla.verify CARD.yaml [key=value ...]``: people rate segments on a page."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rich.console import Console

from la4vla.cli import run_verb

if TYPE_CHECKING:
    from la4vla.construction.verification.desk import Desk
    from la4vla.construction.verification.settings import Settings


def main(words: Sequence[str] | None = None) -> None:
    """Serve the page until interrupted, then say who rated in haste; or import or export ratings."""
    from la4vla.construction.verification.desk import Desk
    from la4vla.construction.verification.settings import open_footage, read_settings
    from la4vla.construction.verification.store import RatingStore

    settings, declaration, database = read_settings(sys.argv[1:] if words is None else words)
    footage = open_footage(settings, declaration)
    with _ended_by_sigterm(), RatingStore(database) as store:
        desk = Desk(footage, store, settings)
        if settings.import_from is not None or settings.export_to is not None:
            _exchange(desk, settings)
        else:
            try:
                _serve(desk, settings, database)
            finally:
                _report_haste(desk)


def _exchange(desk: Desk, settings: Settings) -> None:
    from la4vla.construction.rating import read_ratings, write_ratings

    console = _console()
    if settings.import_from is not None:
        ratings = read_ratings(settings.import_from)
        console.print(f"{desk.merge(ratings)} of {len(ratings)} ratings of {settings.import_from} were new.")
    if settings.export_to is not None:
        ratings = desk.store.ratings()
        write_ratings(settings.export_to, ratings)
        console.print(f"{settings.export_to} holds {len(ratings)} ratings.")
        _report_haste(desk)


def _report_haste(desk: Desk) -> None:
    from la4vla.construction.haste import haste_lines

    for line in haste_lines(desk.store.ratings()):
        _console().print(line)


def _serve(desk: Desk, settings: Settings, database: Path) -> None:
    from la4vla.construction.verification.server import listen, serve

    console = _console()
    bound = listen(settings.host, settings.port)
    host, port = bound.getsockname()[:2]
    console.print(f"{len(desk.footage.records)} segments of {desk.footage.segments.folder}; ratings go to {database}.")
    if desk.strays:
        console.print(f"{desk.strays} ratings there are of segments not in this set; they are kept, not shown.")
    for name, token in desk.tokens.items():
        console.print(f"{name}, {len(desk.queues[name])} segments: http://{host}:{port}/#{quote(name)}:{token}")
    sys.stdout.flush()
    serve(desk, bound)


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the program as an exit does, so that the database is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    run_verb(main)
