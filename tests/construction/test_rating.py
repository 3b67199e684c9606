"""Ratings as lines of a file."""

from __future__ import annotations

import json

import pytest

from la4vla.construction.rating import Rating, read_ratings, write_ratings

ANNA = Rating(segment="e-0003", annotator="anna", quality=3, confidence=2, note="schön", length=9, instruction="Move")
BEN = Rating(segment="e-0003", annotator="ben", quality=0, confidence=0, shift_start=-2, shift_stop=4)


def test_ratings_are_read_back_as_written_in_a_fixed_order(tmp_path):
    write_ratings(tmp_path / "a.jsonl", [BEN, ANNA])
    write_ratings(tmp_path / "b.jsonl", [ANNA, BEN])
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert read_ratings(tmp_path / "a.jsonl") == [ANNA, BEN]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", r"line 3 is not valid JSON"),
        ("[1]", r"line 3 is no rating: expected an object of segment, annotator"),
        ({"quality": 4}, r"line 3 is no rating: quality must be a whole number from 0 to 3, got 4"),
        ({"quality": True}, r"quality must be a whole number from 0 to 3, got True"),
        ({"confidence": -1}, r"confidence must be a whole number from 0 to 2, got -1"),
        ({"confidence": 1.5}, r"confidence must be a whole number"),
        ({"annotator": ""}, r"annotator must be a name, got ''"),
        ({"shift_stop": "2"}, r"shift_stop must be a whole number of steps, got '2'"),
        ({"length": 0}, r"length must be a number of steps, got 0"),
        ({"score": 2}, r"unknown field 'score'"),
        ({"segment": "e-0003"}, r"line 3: anna rates e-0003 there and in line 1; keep one"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, sentence):
    path = tmp_path / "ratings.jsonl"
    write_ratings(path, [ANNA])
    good = json.loads(path.read_text())
    bad = line if isinstance(line, str) else json.dumps({**good, "segment": "e-0009", **line})
    path.write_text(f"{path.read_text()}\n{bad}\n")
    with pytest.raises(ValueError, match=sentence):
        read_ratings(path)


def test_a_missing_field_or_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="field 'quality' is missing"):
        Rating.from_json({"segment": "s", "annotator": "anna", "confidence": 1})
    with pytest.raises(FileNotFoundError, match=r"no file of ratings .*nowhere\.jsonl"):
        read_ratings(tmp_path / "nowhere.jsonl")
