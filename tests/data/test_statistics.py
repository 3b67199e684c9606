from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from la4vla.data.statistics import StatisticsStream, merge_statistics
from la4vla.schema.statistics import Statistics


def parts(count=40, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 1e-3, 50.0])[:dim]
    return {f"r{i:03d}": 5 + scale * rng.normal(size=(rng.integers(1, 60), dim)) for i in range(count)}


def stream(records, **options):
    made = StatisticsStream(**options)
    for key, rows in records.items():
        made.update(key, rows)
    return made


def assert_identical(one, other):
    for field in fields(Statistics):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_small_data_is_exact():
    rows = np.concatenate(list(parts().values()))
    found = stream(parts()).finish()
    assert found.count == len(rows)
    assert np.array_equal(found.minimum, rows.min(axis=0)) and np.array_equal(found.maximum, rows.max(axis=0))
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.std, rows.std(axis=0), rtol=1e-10)
    assert np.array_equal(found.q01, np.quantile(rows, 0.01, axis=0))
    assert np.array_equal(found.q99, np.quantile(rows, 0.99, axis=0))


def test_a_large_offset_does_not_eat_the_variance():
    rows = 1e8 + np.random.default_rng(0).normal(size=(500, 1))
    found = stream({f"r{i}": rows[i : i + 50] for i in range(0, 500, 50)}).finish()
    np.testing.assert_allclose(found.std, rows.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize("sample_rows", [1 << 16, 100])
@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_the_split_over_processes_changes_nothing(sample_rows, processes):
    records = parts()
    whole = stream(records, sample_rows=sample_rows).finish()
    keys = list(records)[::-1]
    merged = StatisticsStream(sample_rows)
    for process in range(processes):
        merged.merge(stream({k: records[k] for k in keys[process::processes]}, sample_rows=sample_rows))
    assert_identical(merged.finish(), whole)


def test_memory_is_bounded_and_quantiles_stay_close():
    rng = np.random.default_rng(1)
    made = StatisticsStream(sample_rows=4096)
    for i in range(100):
        made.update(f"r{i}", rng.uniform(size=(1000, 1)))
        assert sum(map(len, made._rows)) <= 2 * 4096
    found = made.finish()
    # three standard errors of the 1 % quantile of 4096 rows: 3 sqrt(0.01 * 0.99 / 4096)
    assert abs(found.q01[0] - 0.01) < 0.0047 and abs(found.q99[0] - 0.99) < 0.0047


def test_finishing_does_not_end_the_stream():
    records = parts()
    made = stream(dict(list(records.items())[:20]))
    made.finish()
    for key in list(records)[20:]:
        made.update(key, records[key])
    assert_identical(made.finish(), stream(records).finish())


def test_bad_rows_are_refused():
    made = stream(parts(count=2))
    with pytest.raises(ValueError, match="Record r001 was counted before"):
        made.update("r001", np.zeros((1, 3)))
    with pytest.raises(ValueError, match="Record r001 was counted in both"):
        made.merge(stream({"r001": np.zeros((1, 3))}))
    with pytest.raises(ValueError, match="Record x is empty or holds numbers that are not finite"):
        made.update("x", np.array([[np.nan, 0, 0]]))
    with pytest.raises(ValueError, match="no rows"):
        StatisticsStream().finish()


def test_finished_statistics_of_twins_merge_to_themselves():
    rng = np.random.default_rng(2)
    rows = np.stack([rng.normal(size=900), np.clip(3 * rng.normal(size=900), -1, 1), np.full(900, 0.7)], axis=1)
    one = stream({"a": rows}).finish()
    merged = merge_statistics([one, one, one])
    assert merged.count == 2700
    for name in ("minimum", "maximum"):
        assert np.array_equal(getattr(merged, name), getattr(one, name))
    for name in ("mean", "std", "q01", "q99"):
        np.testing.assert_allclose(getattr(merged, name), getattr(one, name), rtol=1e-9, atol=1e-12)


def test_finished_statistics_of_different_sets_merge():
    rng = np.random.default_rng(3)
    rows = rng.uniform(0, 1, size=(1000, 2)), rng.uniform(10, 14, size=(3000, 2))
    merged = merge_statistics([stream({"a": part}).finish() for part in rows])
    together = np.concatenate(rows)
    np.testing.assert_allclose(merged.mean, together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(merged.std, together.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(merged.q01, np.quantile(together, 0.01, axis=0), atol=0.02)
    np.testing.assert_allclose(merged.q99, np.quantile(together, 0.99, axis=0), atol=0.02)
