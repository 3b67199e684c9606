"""Outcomes keep their meaning on disk."""

import pytest

from la4vla.evaluation.outcomes import Outcome, read_outcomes, write_outcomes

ROWS = [
    Outcome("metaworld", "la, then vla", "reach", "easy", 2**32 - 1, True, 12),
    Outcome("metaworld", "la, then vla", "push", "hard", 7, False, 400),
]


def test_outcomes_read_back_as_written(tmp_path):
    write_outcomes(tmp_path / "deep" / "a.csv", ROWS)
    assert read_outcomes(tmp_path / "deep" / "a.csv") == ROWS
    text = (tmp_path / "deep" / "a.csv").read_text().splitlines()
    assert text[:2] == [
        "benchmark,policy,task,group,seed,success,steps",
        'metaworld,"la, then vla",reach,easy,4294967295,1,12',
    ]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    write_outcomes(path, ROWS[:1])

    def broken():
        yield ROWS[1]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_outcomes(path, broken())
    assert read_outcomes(path) == ROWS[:1]
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_other_tables_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("task,success\nreach,1\n")
    with pytest.raises(ValueError, match="a table of outcomes has"):
        read_outcomes(tmp_path / "a.csv")
    write_outcomes(tmp_path / "b.csv", ROWS)
    (tmp_path / "b.csv").write_text((tmp_path / "b.csv").read_text().replace(",0,400", ",maybe,400"))
    with pytest.raises(ValueError, match=r"b.csv, line 3: success must be 0 or 1"):
        read_outcomes(tmp_path / "b.csv")
