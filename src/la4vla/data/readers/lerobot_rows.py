"""The numbers of one episode of a LeRobot data set, taken from its parquet file and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from la4vla.data.readers.checked_text import checked_text
from la4vla.data.readers.lerobot_meta import EpisodeEntry
from la4vla.data.readers.lerobot_tables import one_line
from la4vla.data.unusable import UnusableEpisode

with suppress(ImportError):  # the reader's constructor says what to install
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

# A time stamp may lie this far from its step, as a fraction of the time between steps.
TOLERANCE = 0.25
ALWAYS = ("episode_index", "frame_index", "timestamp", "task_index")


def episode_rows(entry: EpisodeEntry, columns: Sequence[str], fps: float, key: str) -> dict[str, np.ndarray]:
    """The rows of an episode: each of ``columns`` as ``(T, d)`` float32, and ``task_index`` as ``(T,)``.

    Args:
        entry: Where the episode lies.
        columns: Columns of numbers.
        fps: Steps per second, which the time stamps must follow.
        key: Key of the episode, for what is said of it.

    Raises:
        UnusableEpisode: If the file or a column is missing, a row is missing or at the wrong time, or a number is not
            finite.
    """
    wanted = tuple(dict.fromkeys([*ALWAYS, *columns]))
    table = _episode(entry, wanted, key)
    _check_rows(table, entry, fps, key)
    rows = {name: _matrix(table[name], name, key) for name in columns}
    for name, values in rows.items():
        if not np.isfinite(values).all():
            step, dim = np.argwhere(~np.isfinite(values))[0].tolist()
            sentence = f"{name} is {values[step, dim]} at step {step}, dimension {dim}."
            raise UnusableEpisode(key, "not finite", sentence)
    return {**rows, "task_index": table["task_index"].to_numpy()}


def episode_times(entry: EpisodeEntry, key: str) -> np.ndarray:
    """``(T,)`` float64: the time stamps of an episode in seconds.

    Raises:
        UnusableEpisode: If they cannot be read.
    """
    times = _episode(entry, ("episode_index", "timestamp"), key)["timestamp"]
    if not pa.types.is_floating(times.type) or times.null_count:
        raise UnusableEpisode(key, "broken data", f"timestamp holds {times.type}, expected a number in every row.")
    times_s: np.ndarray = times.to_numpy().astype(np.float64)
    return times_s


def _episode(entry: EpisodeEntry, columns: tuple[str, ...], key: str) -> pa.Table:
    if not entry.data.is_file():
        raise UnusableEpisode(key, "missing data", f"there is no file {entry.data}.")
    try:
        table = _table(entry.data, entry.data.stat().st_mtime_ns, columns)
    except (pa.ArrowException, OSError) as error:  # arrow raises the latter where a page is damaged
        raise UnusableEpisode(key, "broken data", f"{entry.data} cannot be read ({one_line(error)}).") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise UnusableEpisode(key, "missing column", f"{entry.data} has no column {', '.join(missing)}.")
    return table.filter(pc.equal(table["episode_index"], entry.index))


@lru_cache(maxsize=1)
def _table(path: Path, modified_ns: int, columns: tuple[str, ...]) -> pa.Table:
    """The columns of a file that exist; kept, because the next episode usually lies in the same file."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=[name for name in columns if name in file.schema_arrow.names])


def _check_rows(table: pa.Table, entry: EpisodeEntry, fps: float, key: str) -> None:
    for name in ALWAYS:
        kind = table[name].type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise UnusableEpisode(key, "broken data", f"{name} holds {kind}, expected a number in every row.")
    if len(table) != entry.length or not len(table):
        sentence = f"{entry.data} holds {len(table)} of its rows, meta lists {entry.length}."
        raise UnusableEpisode(key, "missing rows", sentence)
    steps = np.arange(len(table))
    if not np.array_equal(table["frame_index"].to_numpy(), steps):
        raise UnusableEpisode(key, "missing rows", f"frame_index does not count from 0 to {len(table) - 1}.")
    times_s = table["timestamp"].to_numpy().astype(np.float64)
    late = np.abs(times_s * fps - steps)
    # a comparison with not-a-number is false, so this asks for what must hold
    if not (late <= TOLERANCE).all():
        step = int(np.argmax(~(late <= TOLERANCE)))
        sentence = f"step {step} has the time stamp {times_s[step]:.4f} s, at {fps:g} Hz it is {step / fps:.4f} s."
        raise UnusableEpisode(key, "wrong fps", sentence)


def _matrix(column: pa.ChunkedArray, name: str, key: str) -> np.ndarray:
    """``(T, d)`` float32; a column of plain numbers has one dimension."""
    array = column.combine_chunks()
    if array.null_count:
        raise UnusableEpisode(key, "not finite", f"{name} has {array.null_count} empty rows.")
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        widths = set(pc.list_value_length(array).to_pylist())
        if len(widths) != 1:
            raise UnusableEpisode(key, "uneven rows", f"{name} has rows of {sorted(widths)} numbers.")
        values = array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), -1)
    else:
        values = array.to_numpy(zero_copy_only=False)[:, None]
    if values.dtype == np.object_:
        raise UnusableEpisode(key, "broken data", f"{name} holds {kind}, expected numbers.")
    return np.ascontiguousarray(values, dtype=np.float32)


def instruction_of(entry: EpisodeEntry, rows: Mapping[str, np.ndarray], tasks: Mapping[int, str], key: str) -> str:
    """The one instruction that an episode's rows name.

    Raises:
        UnusableEpisode: If they name several, one that is not in the list of tasks, none, or one that is no UTF-8.
    """
    named = np.unique(rows["task_index"]).tolist()
    if len(named) != 1:
        sentence = f"its rows name the tasks {named}; an episode must have one. Cut it where the task changes."
        raise UnusableEpisode(key, "several tasks", sentence)
    if named[0] not in tasks:
        raise UnusableEpisode(key, "unknown task", f"its rows name task {named[0]}, which meta does not list.")
    return checked_text(tasks[named[0]], key)
