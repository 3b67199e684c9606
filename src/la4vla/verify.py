"""``python -m la4vla.verify CARD.yaml [key=value ...]``: people rate segments on a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from urllib.parse import quote

from rich.console import Console

from la4vla.cli import run_verb


def main(words: Sequence[str] | None = None) -> None:
    """Serve the page until interrupted; or import or export ratings."""
    from la4vla.construction.rating import read_ratings, write_ratings
    from la4vla.construction.verification.desk import Desk
    from la4vla.construction.verification.server import listen, serve
    from la4vla.construction.verification.settings import open_footage, read_settings
    from la4vla.construction.verification.store import RatingStore

    settings, declaration, database = read_settings(sys.argv[1:] if words is None else words)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    desk = Desk(open_footage(settings, declaration), RatingStore(database), settings)
    if settings.import_from is not None:
        ratings = read_ratings(settings.import_from)
        console.print(f"{desk.merge(ratings)} of {len(ratings)} ratings of {settings.import_from} were new.")
    if settings.export_to is not None:
        ratings = desk.store.ratings()
        write_ratings(settings.export_to, ratings)
        console.print(f"{settings.export_to} holds {len(ratings)} ratings.")
    if settings.import_from is not None or settings.export_to is not None:
        return
    bound = listen(settings.host, settings.port)
    host, port = bound.getsockname()[:2]
    console.print(f"{len(desk.footage.records)} segments of {desk.footage.segments.folder}; ratings go to {database}.")
    if desk.strays:
        console.print(f"{desk.strays} ratings there are of segments not in this set; they are kept, not shown.")
    for name, token in desk.tokens.items():
        console.print(f"{name}, {len(desk.queues[name])} segments: http://{host}:{port}/#{quote(name)}:{token}")
    sys.stdout.flush()
    serve(desk, bound)


if __name__ == "__main__":
    run_verb(main)
