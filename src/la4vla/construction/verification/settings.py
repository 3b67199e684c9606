"""What the verification verb is told, and the sets and files that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from la4vla.cli import CardGrammar, card_files
from la4vla.construction.build import ensure_built
from la4vla.construction.card import Declaration, read_card
from la4vla.construction.verification.footage import Footage
from la4vla.data.manifest import MANIFEST_NAME
from la4vla.data.shards import Shards


@dataclass(frozen=True)
class Settings:
    """How segments are verified.

    Args:
        annotators: Who rates; each gets a token and a share of the segments.
        double_share: Share of the segments that two annotators rate, from which agreement is measured. The paper's
            share did not survive publication; a fifth of some hundred segments fixes alpha to about a tenth.
        seed: Decides who rates what.
        least_quality: Least mean quality of a segment that is counted as retained.
        context_s: Seconds shown before and after a segment, as far as they are recorded.
        export: The export of segments with frames that is shown; None takes the card's first one.
        folder: Where the card's sets lie; None takes the folder beside the card that bears its name.
        database: Where ratings are kept; None takes ``CARD.ratings.sqlite`` beside the card.
        host: Address to listen at; the default is reached from this machine alone.
        port: Port to listen at; 0 takes any that is free.
        import_from: Add the ratings of this JSONL file, and end.
        export_to: Write the ratings to this JSONL file, and end.

    Raises:
        ValueError: If a number is out of range.
    """

    annotators: list[str] = field(default_factory=lambda: ["annotator"])
    double_share: float = 0.2
    seed: int = 0
    least_quality: float = 2.0
    context_s: float = 1.0
    export: str | None = None
    folder: str | None = None
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8010
    import_from: str | None = None
    export_to: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must lie in 0..65535, got {self.port}.")
        if not 0 <= self.least_quality <= 3 or self.context_s < 0:
            raise ValueError(
                "least_quality must lie in 0..3 and context_s be at least 0, got "
                f"{self.least_quality} and {self.context_s}."
            )


def read_settings(words: Sequence[str]) -> tuple[Settings, Declaration, Path]:
    """Parse ``card.yaml [key=value ...]``: the settings, the card, and the place of the database.

    Raises:
        ValueError: If no card is named, or a value is out of range.
        FileNotFoundError: If the card does not exist.
    """
    files = card_files(words, "Name the card whose segments are to be verified, for example shards/metaworld.yaml.")
    parser = CardGrammar(prog="python -m la4vla.verify", exit_on_error=True)
    parser.add_class_arguments(Settings, as_group=False)
    chosen = parser.parse_args([word for word in words if word not in files])
    settings = Settings(**vars(parser.instantiate_classes(chosen)))
    declaration = read_card([*files, *([f"folder={settings.folder}"] if settings.folder else [])])
    usual = Path(files[0]).with_suffix(".ratings.sqlite")
    return settings, declaration, Path(settings.database) if settings.database else usual


def open_footage(settings: Settings, declaration: Declaration) -> Footage:
    """Open the set of segments that is shown, built from its card where it is not, and whole episodes beside it.

    Raises:
        ValueError: If the card has no such export, or none with frames.
    """
    exports = declaration.card.exports
    shown = [n for n, e in exports.items() if e.unit == "segment" and e.frames and e.ratings is None]
    if settings.export is not None:
        shown = [name for name in shown if name == settings.export]
    if not shown:
        wanted = "no export" if settings.export is None else f"no export {settings.export!r}"
        raise ValueError(
            f"The card has {wanted} of unrated segments with frames to look at; its exports are {', '.join(exports)}. "
            "Add one such as `vla: {unit: segment, frames: true}`."
        )
    folder = declaration.folder / shown[0]
    ensure_built(folder)
    whole = [declaration.folder / name for name, e in exports.items() if e.unit == "episode" and e.frames]
    episodes = [Shards(place) for place in whole if (place / MANIFEST_NAME).exists()]
    return Footage(Shards(folder), episodes, settings.context_s)
