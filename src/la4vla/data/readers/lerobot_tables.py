"""Lines of JSON and small parquet tables of a LeRobot data set's ``meta`` folder, as plain Python values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

with suppress(ImportError):  # the reader's constructor says what to install
    import pyarrow as pa
    import pyarrow.parquet as pq


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines, each after the words that say where it stands.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is no JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"The LeRobot data set lacks {path}. Download it whole.")
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            yield f"{path}, line {number},", json_object(line, f"{path}, line {number},")


def json_object(data: bytes, where: str) -> dict[str, Any]:
    """One JSON object; bytes of it that are no UTF-8 stand as lone surrogates.

    Raises:
        ValueError: If it is no JSON, or no object.
    """
    try:
        # a foreign encoding in one instruction must not hide all episodes: it is found when that one is read
        content = json.loads(data.decode(errors="surrogateescape"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is no JSON ({error}). Download the data set again.") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{where} holds {type(content).__name__}, expected a JSON object. Download the data set again."
        )
    return content


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a small parquet table, without its per-episode statistics; text as ``surrogateescape`` decodes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no parquet file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"The LeRobot data set lacks {path}. Download it whole.")
    try:
        file = pq.ParquetFile(path)
        table = file.read(columns=[n for n in file.schema_arrow.names if not n.startswith("stats/")])
    except (pa.ArrowException, OSError) as error:  # arrow raises the latter where a page is damaged
        raise ValueError(f"{path} is no parquet file ({one_line(error)}). Download the data set again.") from error
    # arrow takes any bytes for text until one looks at them
    schema = pa.schema([pa.field(f.name, _as_bytes(f.type)) for f in table.schema])
    for row in table.cast(schema).to_pylist():
        yield {name: _as_text(value) for name, value in row.items()}


def one_line(error: Exception) -> str:
    """Arrow's message, which has several, in one line."""
    return " ".join(str(error).split())


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_as_bytes(kind.value_type))
    return pa.large_binary() if pa.types.is_string(kind) or pa.types.is_large_string(kind) else kind


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value
