"""Ratings on disk."""

from __future__ import annotations

import sqlite3
import stat
import threading

import pytest

from la4vla.construction.rating import Rating
from la4vla.construction.verification.store import RatingStore


def rating(segment="e-0000", annotator="anna", quality=2, **more) -> Rating:
    return Rating(segment=segment, annotator=annotator, quality=quality, confidence=1, **more)


@pytest.fixture
def store(tmp_path) -> RatingStore:
    return RatingStore(tmp_path / "r.sqlite")


def test_the_last_rating_that_was_not_taken_back_counts(store):
    store.add(rating(quality=1), "r1")
    store.add(rating(quality=3, note="after all"), "r2")
    store.add(rating(annotator="ben", quality=0), "r3")
    assert [r.quality for r in store.ratings()] == [3, 0]
    store.withdraw("r2", "anna")
    store.withdraw("r2", "anna")  # sent twice
    assert [r.quality for r in store.ratings()] == [1, 0]
    store.withdraw("r1", "anna")
    assert [r.annotator for r in store.ratings()] == ["ben"] and store.requests("anna") == []


def test_a_request_is_kept_once(store):
    version = store.version()
    for _ in range(3):
        store.add(rating(), "r1")
    assert store.ratings() == [rating()] and store.version() == (version[0] + 1, 0)


def test_another_rating_that_its_giver_did_not_know_of_is_told(store):
    store.add(rating(quality=1), "r1")
    store.add(rating("e-0001"), "other segment")
    store.add(rating(annotator="ben"), "other person")
    assert store.meanwhile("r1", None) is None
    store.add(rating(quality=3), "r2")
    assert store.meanwhile("r2", "r1") is None  # it was known, and replaced
    assert store.meanwhile("r2", None) == ("r1", rating(quality=1), False)
    assert store.meanwhile("r1", None) == ("r2", rating(quality=3), True)  # r1 is sent again after r2
    store.withdraw("r2", "anna")
    assert store.meanwhile("r1", None) is None


def test_nobody_takes_back_what_another_said(store):
    store.add(rating(), "r1")
    with pytest.raises(LookupError, match="ben gave no rating 'r1'"):
        store.withdraw("r1", "ben")
    assert store.ratings() == [rating()]


def test_another_opening_reads_every_field(store):
    told = rating(
        shift_start=-3,
        shift_stop=5,
        note="grüße",
        rated_at="2026-01-02T03:04:05Z",
        length=12,
        instruction="Go",
        watched_ms=4321,
        passes=1.5,
    )
    store.add(told, "r1")
    token = store.token("anna")
    again = RatingStore(store.path)  # beside the first, which is still open
    assert again.ratings() == [told]
    assert again.token("anna") == token and again.holder(token) == "anna" and again.holder("x") is None
    assert token != again.token("ben")


def test_commits_are_synced_and_the_file_is_its_owners_alone(store):
    database = store._database
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_of_two_imports_the_later_wins(store):
    store.add(rating(quality=1, rated_at="2026-01-02T00:00:00Z"), "r1")
    older, newer = (rating(quality=q, rated_at=f"2026-01-0{d}T00:00:00Z") for q, d in ((0, 1), (3, 3)))
    assert store.merge([older]) == 0
    assert store.merge([newer, rating("e-0001", "ben")]) == 2
    assert store.merge([newer]) == 0
    assert [(r.annotator, r.quality) for r in store.ratings()] == [("anna", 3), ("ben", 2)]


def test_of_two_imports_the_later_moment_wins_however_it_is_written(store):
    store.add(rating(quality=1, rated_at="2026-01-02T23:00:00-05:00"), "r1")  # 04:00 of the 3rd in UTC
    assert store.merge([rating(quality=0, rated_at="2026-01-03T03:59:59Z")]) == 0
    assert store.merge([rating(quality=0, rated_at="2026-01-03T03:59:59.9")]) == 0 == store.merge([rating(quality=0)])
    assert store.merge([rating(quality=3, rated_at="2026-01-02T22:00:00.5-06:00")]) == 1
    with pytest.raises(ValueError, match=r"e-0000 by anna was given at 'yesterday', which is no time"):
        store.merge([rating("e-0001"), rating(rated_at="yesterday")])
    assert [(r.segment, r.quality) for r in store.ratings()] == [("e-0000", 3)]


def test_a_closed_database_is_one_file(tmp_path):
    with RatingStore(tmp_path / "r.sqlite") as store:
        store.add(rating(), "r1")
    assert [path.name for path in tmp_path.iterdir()] == ["r.sqlite"]
    (tmp_path / "copy.sqlite").write_bytes(store.path.read_bytes())
    assert RatingStore(tmp_path / "copy.sqlite").ratings() == [rating()]


def test_several_threads_lose_nothing(store):
    def work(name: str) -> None:
        for n in range(25):
            store.add(rating(f"e-{n:04d}", name), f"{name}{n}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.ratings()) == 100


def test_another_file_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "x.sqlite").write_text("not a database, but long enough to have a header" * 9)
    with pytest.raises(ValueError, match="cannot be used as a database of ratings"):
        RatingStore(tmp_path / "x.sqlite")
    later = sqlite3.connect(tmp_path / "y.sqlite")
    later.execute("PRAGMA user_version = 7")
    later.close()
    with pytest.raises(ValueError, match="version 7, this program reads version 2"):
        RatingStore(tmp_path / "y.sqlite")
