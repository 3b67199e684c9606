"""Ratings in SQLite: what was said to be saved is on disk, whatever happens to the process."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from la4vla.construction.rating import Rating

SCHEMA_VERSION = 2
TABLES = """
CREATE TABLE annotators (name TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE);
CREATE TABLE ratings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL UNIQUE,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    segment TEXT NOT NULL,
    annotator TEXT NOT NULL,
    quality INTEGER NOT NULL CHECK (quality BETWEEN 0 AND 3),
    confidence INTEGER NOT NULL CHECK (confidence BETWEEN 0 AND 2),
    shift_start INTEGER NOT NULL,
    shift_stop INTEGER NOT NULL,
    note TEXT NOT NULL,
    rated_at TEXT NOT NULL,
    length INTEGER,
    instruction TEXT,
    watched_ms INTEGER,
    passes REAL
);
CREATE INDEX by_segment ON ratings (segment, annotator);
"""
COLUMNS = (
    "segment", "annotator", "quality", "confidence", "shift_start", "shift_stop", "note", "rated_at", "length",
    "instruction", "watched_ms", "passes",
)  # fmt: skip


class RatingStore(AbstractContextManager["RatingStore"]):
    """The ratings and annotators of one set of segments; several threads and processes may use one file at once.

    Nothing is ever overwritten: rating again adds a row, the last row that was not withdrawn counts, and withdrawing
    it brings back the one before. Every call that writes returns after its commit is synced to disk (WAL, synchronous).

    Args:
        path: The database; made where it does not exist, for its owner alone, because it holds the tokens.

    Raises:
        ValueError: If the file is something else, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.Lock()
        self._database = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise ValueError(f"{self.path} cannot be used as a database of ratings: {error}.") from error

    def _prepare(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in TABLES.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise ValueError(
                    f"{self.path} has version {version}, this program reads version {SCHEMA_VERSION}. Export its "
                    "ratings with the program that wrote it, and import them into a new database."
                )
        finally:
            self._database.execute("COMMIT")

    def token(self, annotator: str) -> str:
        """The token of ``annotator``, drawn at first use and kept."""
        with self._lock:
            self._database.execute(
                "INSERT OR IGNORE INTO annotators VALUES (?, ?)", (annotator, secrets.token_urlsafe(16))
            )
            (token,) = self._database.execute(
                "SELECT token FROM annotators WHERE name = ?", (annotator,)
            ).fetchone()  # fmt: skip
        return str(token)

    def holder(self, token: str) -> str | None:
        """Whose token this is, or None."""
        with self._lock:
            row = self._database.execute("SELECT name FROM annotators WHERE token = ?", (token,)).fetchone()
        return None if row is None else str(row[0])

    def add(self, rating: Rating, request: str) -> None:
        """Keep a rating. A ``request`` that was kept before is kept once, so that senders may send again."""
        self._insert([(request, rating)])

    def withdraw(self, request: str, annotator: str) -> None:
        """Take back the rating kept as ``request``.

        Raises:
            LookupError: If ``annotator`` gave no such rating.
        """
        with self._lock:
            changed = self._database.execute(
                "UPDATE ratings SET withdrawn = 1 WHERE request = ? AND annotator = ?", (request, annotator)
            ).rowcount
        if not changed:
            raise LookupError(f"{annotator} gave no rating {request!r} that could be taken back.")

    def merge(self, ratings: Iterable[Rating]) -> int:
        """Add ratings from elsewhere, all or none, and return how many were added; the later of two moments wins.

        A rating without a time is earlier than any with one.

        Raises:
            ValueError: If a time is none.
        """
        kept = {(r.segment, r.annotator): moment(r) for r in self.ratings()}
        dated = [(r, moment(r)) for r in ratings]
        new = [r for r, when in dated if (known := kept.get((r.segment, r.annotator))) is None or when > known]
        self._insert([(secrets.token_urlsafe(16), rating) for rating in new])
        return len(new)

    def ratings(self) -> list[Rating]:
        """The ratings that count: of every segment and annotator the last one."""
        return [rating for _, rating in self.requests()]

    def requests(self, annotator: str | None = None) -> list[tuple[str, Rating]]:
        """The same in the order they were given, with their requests; of all annotators, or of one."""
        # SQLite takes the bare columns from the row that holds the maximum.
        query = (
            f"SELECT MAX(id), request, {', '.join(COLUMNS)} FROM ratings WHERE NOT withdrawn "
            "AND (?1 IS NULL OR annotator = ?1) GROUP BY segment, annotator ORDER BY 1"
        )
        with self._lock:
            rows = self._database.execute(query, (annotator,)).fetchall()
        return [(row[1], Rating(**dict(zip(COLUMNS, row[2:], strict=True)))) for row in rows]

    def meanwhile(self, request: str, replaces: str | None) -> tuple[str, Rating, bool] | None:
        """The annotator's other rating of the same segment that whoever gave ``request`` did not know of, or None.

        Args:
            request: A rating that was kept.
            replaces: The request that counted as far as its giver knew, or None.

        Returns:
            Its request, that rating, and whether it counts instead: it does where it was kept later.
        """
        query = (
            f"SELECT o.id > m.id, o.request, {', '.join(f'o.{name}' for name in COLUMNS)} FROM ratings m "
            "JOIN ratings o ON o.segment = m.segment AND o.annotator = m.annotator AND o.id != m.id "
            "WHERE m.request = ? AND NOT o.withdrawn ORDER BY o.id DESC LIMIT 1"
        )
        with self._lock:
            row = self._database.execute(query, (request,)).fetchone()
        if row is None or row[1] == replaces:
            return None
        return row[1], Rating(**dict(zip(COLUMNS, row[2:], strict=True))), bool(row[0])

    def version(self) -> tuple[int, int]:
        """Two numbers that change whenever the ratings do."""
        with self._lock:
            row = self._database.execute("SELECT COUNT(*), COALESCE(SUM(withdrawn), 0) FROM ratings").fetchone()
        return int(row[0]), int(row[1])

    def close(self) -> None:
        """Bring everything into the file itself, so that it can be copied alone, and close it."""
        with self._lock:
            # Where another process has it open, the last one to close does this.
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.close()

    def __exit__(self, *words: object) -> None:
        self.close()

    def _insert(self, rows: Iterable[tuple[str, Rating]]) -> None:
        names, marks = ", ".join(("request", *COLUMNS)), ", ".join("?" * (len(COLUMNS) + 1))
        values = [(request, *(getattr(rating, name) for name in COLUMNS)) for request, rating in rows]
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(f"INSERT OR IGNORE INTO ratings ({names}) VALUES ({marks})", values)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def moment(rating: Rating) -> datetime:
    """When a rating was given; without an offset its time is UTC, without a time it is older than all others.

    Raises:
        ValueError: If ``rated_at`` is no time.
    """
    if not rating.rated_at:
        return datetime.min.replace(tzinfo=UTC)
    try:
        when = datetime.fromisoformat(rating.rated_at)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"The rating of {rating.segment} by {rating.annotator} was given at {rating.rated_at!r}, which is no time "
            "in ISO 8601, such as 2026-01-02T03:04:05Z; mend it and import again."
        ) from error


def now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
