"""Outcomes keep their meaning on disk."""

import pytest

from la4vla.evaluation.outcomes import Outcome, read_outcomes, write_outcomes

ROWS = [
    Outcome("metaworld", "la, then vla", "reach", "easy", 2**32 - 1, True, 12),
    Outcome("metaworld", "la, then vla", "push", "hard", 7, False, 400, 2, "gaussian_noise 25"),
]


def test_outcomes_read_back_as_written(tmp_path):
    write_outcomes(tmp_path / "deep" / "a.csv", ROWS)
    assert read_outcomes(tmp_path / "deep" / "a.csv") == ROWS
    text = (tmp_path / "deep" / "a.csv").read_text().splitlines()
    assert text[:2] == [
        "benchmark,policy,task,group,seed,success,steps,attempts,perturbation",
        'metaworld,"la, then vla",reach,easy,4294967295,1,12,1,',
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
    with pytest.raises(ValueError, match=r"b.csv, line 3: .*success is 0 or 1"):
        read_outcomes(tmp_path / "b.csv")
    write_outcomes(tmp_path / "c.csv", ROWS)
    (tmp_path / "c.csv").write_text((tmp_path / "c.csv").read_text().replace(",400,", ",many,"))
    with pytest.raises(ValueError, match=r"c.csv, line 3: seed, steps and attempts are whole numbers"):
        read_outcomes(tmp_path / "c.csv")
    write_outcomes(tmp_path / "d.csv", ROWS)
    (tmp_path / "d.csv").write_text((tmp_path / "d.csv").read_text()[:-30])
    with pytest.raises(ValueError, match=r"d.csv, line 3: a row has 9 values"):
        read_outcomes(tmp_path / "d.csv")


def test_tables_from_before_attempts_were_counted_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("benchmark,policy,task,group,seed,success,steps\nmetaworld,la,reach,easy,3,1,12\n")
    assert read_outcomes(tmp_path / "a.csv") == [Outcome("metaworld", "la", "reach", "easy", 3, True, 12)]
