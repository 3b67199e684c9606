"""What the ``meta`` folder of a LeRobot data set says, in version 2.0, 2.1 or 3.0 of the format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

VERSIONS = ("v2.0", "v2.1", "v3.0")


@dataclass(frozen=True)
class EpisodeEntry:
    """Where one episode lies.

    Args:
        index: Its number in the data set.
        tasks: Its instructions. Bytes that are no UTF-8 stand as lone surrogates.
        length: Steps.
        data: The parquet file that holds its rows, perhaps among those of others.
        videos: By video key, the file and the second of it at which the episode begins; cameras that are kept as
            pictures have none.
    """

    index: int
    tasks: tuple[str, ...]
    length: int
    data: Path
    videos: Mapping[str, tuple[Path, float]]


@dataclass(frozen=True)
class LeRobotMeta:
    """A LeRobot data set as its metadata describes it.

    Args:
        root: Its folder.
        info: ``meta/info.json``.
        tasks: Instructions by ``task_index``.
        episodes: The episodes by number, ascending.
        stats: ``meta/stats.json``, or empty where there is none.
    """

    root: Path
    info: Mapping[str, Any]
    tasks: Mapping[int, str]
    episodes: Mapping[int, EpisodeEntry]
    stats: Mapping[str, Any]

    @property
    def fps(self) -> float:
        """Steps per second."""
        return float(self.info["fps"])

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """By column or video key: ``dtype``, ``shape`` and ``names``."""
        features: Mapping[str, Mapping[str, Any]] = self.info["features"]
        return features

    @property
    def camera_keys(self) -> list[str]:
        """Keys of all cameras, kept as videos or as pictures, in the order of ``info.json``."""
        return [key for key, feature in self.features.items() if feature["dtype"] in ("video", "image")]


def read_meta(root: str | Path) -> LeRobotMeta:
    """The metadata of the data set in ``root``; read once per process while no file of it changes.

    Raises:
        FileNotFoundError: If there is no data set, or a part of its metadata is missing.
        ValueError: If its version is unknown, it is empty, or a line of its metadata cannot be parsed.
    """
    path = Path(root) / "meta" / "info.json"
    if not path.is_file():
        raise FileNotFoundError(f"There is no LeRobot data set in {root}: it has no meta/info.json. Download it first.")
    return _read(str(root), _state(path.parent))


def _state(meta: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files in ``meta``, by which a correction is noticed."""
    files = (path for kind in ("*.json*", "*.parquet", "episodes/*/*.parquet") for path in meta.glob(kind))
    return tuple((str(path), (seen := path.stat()).st_size, seen.st_mtime_ns) for path in sorted(files))


@lru_cache(maxsize=4)
def _read(folder: str, state: tuple[tuple[str, int, int], ...]) -> LeRobotMeta:
    root = Path(folder)
    info = _parse((root / "meta" / "info.json").read_bytes(), "meta/info.json")
    version = info.get("codebase_version")
    if version not in VERSIONS:
        raise ValueError(f"{root} has codebase_version {version}; this reader knows {', '.join(VERSIONS)}.")
    missing = [key for key in ("fps", "features", "data_path") if key not in info]
    if missing:
        raise ValueError(f"{root}/meta/info.json lacks {', '.join(missing)}; write the data set's metadata again.")
    if info.get("total_episodes") == 0:
        raise ValueError(f"The LeRobot data set {root} is empty: it counts no episode.")
    try:
        tasks, entries = _version_3(root, info) if version == "v3.0" else _version_2(root, info)
        episodes = {entry.index: entry for entry in sorted(entries, key=lambda entry: entry.index)}
    except KeyError as error:
        raise ValueError(f"The meta folder of {root} lacks {error} somewhere; download it again.") from None
    if not episodes:
        raise ValueError(f"The LeRobot data set {root} is empty: it lists no episode.")
    if len(episodes) < (info.get("total_episodes") or 0):
        raise ValueError(
            f"{root}/meta lists {len(episodes)} episodes, its info.json counts {info['total_episodes']}; download the "
            "data set's meta whole, or correct total_episodes."
        )
    stats = root / "meta" / "stats.json"
    return LeRobotMeta(root, info, tasks, episodes, _parse(stats.read_bytes(), str(stats)) if stats.is_file() else {})


def _version_2(root: Path, info: Mapping[str, Any]) -> tuple[dict[int, str], Iterator[EpisodeEntry]]:
    """One parquet and one video file per episode; lines of JSON about them."""
    videos = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]
    tasks = {line["task_index"]: line["task"] for line in _lines(root / "meta" / "tasks.jsonl")}

    def entry(line: Mapping[str, Any]) -> EpisodeEntry:
        index = line["episode_index"]
        place = {"episode_chunk": index // info.get("chunks_size", 1000), "episode_index": index}
        return EpisodeEntry(
            index=index,
            tasks=tuple(line["tasks"]),
            length=line["length"],
            data=root / info["data_path"].format(**place),
            videos={key: (root / info["video_path"].format(video_key=key, **place), 0.0) for key in videos},
        )

    return tasks, map(entry, _lines(root / "meta" / "episodes.jsonl"))


def _version_3(root: Path, info: Mapping[str, Any]) -> tuple[dict[int, str], Iterator[EpisodeEntry]]:
    """Many episodes per parquet and per video file; tables that say where each lies."""
    videos = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]
    tasks: dict[int, str] = {}
    for row in _rows(root / "meta" / "tasks.parquet"):
        # the instruction is the index of a pandas table, which names it as it likes
        tasks[row["task_index"]] = next((value for value in row.values() if isinstance(value, str)), "")

    def entry(row: Mapping[str, Any]) -> EpisodeEntry:
        def place(prefix: str) -> dict[str, int]:
            return {name: row[f"{prefix}/{name}"] for name in ("chunk_index", "file_index")}

        return EpisodeEntry(
            index=row["episode_index"],
            tasks=tuple(row["tasks"]),
            length=row["length"],
            data=root / info["data_path"].format(**place("data")),
            videos={
                key: (
                    root / info["video_path"].format(video_key=key, **place(f"videos/{key}")),
                    row[f"videos/{key}/from_timestamp"],
                )
                for key in videos
            },
        )

    files = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    return tasks, (entry(row) for file in files for row in _rows(file))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"The LeRobot data set lacks {path}. Download it whole.")
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            yield _parse(line, f"{path}, line {number},")


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        # a foreign encoding in one instruction must not hide all episodes: it is found when that one is read
        content: dict[str, Any] = json.loads(data.decode(errors="surrogateescape"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is no JSON ({error}). Download the data set again.") from error
    return content


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a small parquet table, without its per-episode statistics; text as ``surrogateescape`` decodes it."""
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


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_as_bytes(kind.value_type))
    return pa.large_binary() if pa.types.is_string(kind) or pa.types.is_large_string(kind) else kind


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def one_line(error: Exception) -> str:
    """Arrow's message, which has several, in one line."""
    return " ".join(str(error).split())
