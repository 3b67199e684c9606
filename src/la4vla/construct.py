"""``python -m la4vla.construct CARD.yaml [key=value ...]``: demonstrations to shards."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.table import Table

from la4vla.cli import run_verb, screen


def main(words: Sequence[str] | None = None) -> None:
    """Build the sets a card declares and print what each came to."""
    from la4vla.construction.build import build
    from la4vla.construction.card import read_card
    from la4vla.construction.data_card import NAME, card_place
    from la4vla.construction.outlook import outlook

    declaration = read_card(sys.argv[1:] if words is None else words)
    console = screen()
    if declaration.card.dry_run:
        console.print(*outlook(declaration.card), sep="\n", markup=False, highlight=False, soft_wrap=True)
        return
    for name, manifest in build(declaration).items():
        folder = declaration.folder / name
        size_mb = sum((folder / entry.file).stat().st_size for entry in manifest.shards) / 1e6
        title = f"{folder}: {sum(e.records for e in manifest.shards)} {manifest.unit}s, {size_mb:.1f} MB"
        table = Table(title=title, title_justify="left")
        table.add_column("processing phase", overflow="fold")
        for heading in ("episodes", "frames", "frames / ep."):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in manifest.phases:
            table.add_row(
                row["phase"], f"{row['episodes']:,}", f"{row['frames']:,}", f"{row['frames_per_episode']:.2f}"
            )
        console.print(table)
        if manifest.dropped:
            console.print("dropped: " + ", ".join(f"{n} × {reason}" for reason, n in manifest.dropped.items()))
        for sentence in manifest.unusable:
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    told = card_place(declaration.folder)
    other = f", because {NAME} there is not of la4vla" if told.name != NAME else ""
    console.print(f"data card: {told}{other}", markup=False, highlight=False, soft_wrap=True)
    for sentence in declaration.waiting.values():
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for line in declaration.card.segmenter.account() if declaration.card.segmenter else []:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_verb(main)
