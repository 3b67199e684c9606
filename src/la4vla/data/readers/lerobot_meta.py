"""What the ``meta`` folder of a LeRobot data set says, in version 2.0, 2.1 or 3.0 of the format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from la4vla.data.readers.lerobot_tables import json_lines, json_object, parquet_rows

VERSIONS = ("v2.0", "v2.1", "v3.0")
MINOR_OF_3 = re.compile(r"v3\.\d+")


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
    def version(self) -> str:
        """The version of the format, such as ``v3.0``."""
        return str(self.info["codebase_version"])

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
    info = json_object((root / "meta" / "info.json").read_bytes(), f"{root}/meta/info.json")
    version = str(info.get("codebase_version"))
    if version not in VERSIONS and not MINOR_OF_3.fullmatch(version):
        raise ValueError(f"{root} has codebase_version {version}; this reader knows {', '.join(VERSIONS)}.")
    _check_info(root, info)
    try:
        tasks, entries = _version_3(root, info) if version.startswith("v3") else _version_2(root, info)
        episodes = {entry.index: entry for entry in sorted(entries, key=lambda entry: entry.index)}
    except KeyError as error:
        raise ValueError(f"The meta folder of {root} lacks {error} somewhere; download it again.") from None
    except (AttributeError, TypeError, ArithmeticError, IndexError) as error:  # a text in the place of a number, say
        raise ValueError(
            f"The meta folder of {root} is not as version {version} of the format has it ({error}); write it again."
        ) from error
    if not episodes:
        raise ValueError(f"The LeRobot data set {root} is empty: it lists no episode.")
    if len(episodes) < (info.get("total_episodes") or 0):
        raise ValueError(
            f"{root}/meta lists {len(episodes)} episodes, its info.json counts {info['total_episodes']}; download the "
            "data set's meta whole, or correct total_episodes."
        )
    stats = root / "meta" / "stats.json"
    told = json_object(stats.read_bytes(), str(stats)) if stats.is_file() else {}
    return LeRobotMeta(root, info, tasks, episodes, told)


def _check_info(root: Path, info: Mapping[str, Any]) -> None:
    missing = [key for key in ("fps", "features", "data_path") if info.get(key) is None]
    if missing:
        raise ValueError(f"{root}/meta/info.json lacks {', '.join(missing)}; write the data set's metadata again.")
    try:
        sound = 0 < float(info["fps"]) < float("inf")
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError(f"{root}/meta/info.json says fps {info['fps']!r}, expected the steps of a second, above 0.")
    features = info["features"]
    if not isinstance(features, Mapping):
        raise ValueError(f"{root}/meta/info.json has features {features!r}, expected them by key; write it again.")
    for key, feature in features.items():
        if not isinstance(feature, Mapping) or "dtype" not in feature:
            raise ValueError(f"{root}/meta/info.json says {feature!r} of {key}, expected its dtype; write it again.")
    if any(feature["dtype"] == "video" for feature in features.values()) and info.get("video_path") is None:
        raise ValueError(f"{root}/meta/info.json has cameras of videos and lacks video_path; write it again.")
    count = info.get("total_episodes")
    if count is not None and not isinstance(count, int):
        raise ValueError(f"{root}/meta/info.json says total_episodes {count!r}, expected a number; write it again.")
    if info.get("total_episodes") == 0:
        raise ValueError(f"The LeRobot data set {root} is empty: it counts no episode.")


def _version_2(root: Path, info: Mapping[str, Any]) -> tuple[dict[int, str], Iterator[EpisodeEntry]]:
    """One parquet and one video file per episode; lines of JSON about them."""
    videos = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]
    tasks = {
        line["task_index"]: _instruction(line["task"], where) for where, line in json_lines(root / "meta/tasks.jsonl")
    }

    def entry(where: str, line: Mapping[str, Any]) -> EpisodeEntry:
        index = line["episode_index"]
        place = {"episode_chunk": index // info.get("chunks_size", 1000), "episode_index": index}
        return EpisodeEntry(
            index=index,
            tasks=_instructions(line["tasks"], where),
            length=_whole(line["length"]),
            data=root / info["data_path"].format(**place),
            videos={key: (root / info["video_path"].format(video_key=key, **place), 0.0) for key in videos},
        )

    return tasks, (entry(where, line) for where, line in json_lines(root / "meta" / "episodes.jsonl"))


def _version_3(root: Path, info: Mapping[str, Any]) -> tuple[dict[int, str], Iterator[EpisodeEntry]]:
    """Many episodes per parquet and per video file; tables that say where each lies."""
    videos = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]

    def entry(row: Mapping[str, Any]) -> EpisodeEntry:
        def place(prefix: str) -> dict[str, int]:
            return {name: row[f"{prefix}/{name}"] for name in ("chunk_index", "file_index")}

        return EpisodeEntry(
            index=row["episode_index"],
            tasks=_instructions(row["tasks"], f"{root}/meta/episodes, episode {row['episode_index']},"),
            length=_whole(row["length"]),
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
    return _task_table(root / "meta" / "tasks.parquet"), (entry(row) for file in files for row in parquet_rows(file))


def _whole(value: Any) -> int:
    """A count, which some tables keep as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError(f"{value!r} is no number of steps")
    return int(value)


def _task_table(path: Path) -> dict[int, str]:
    """Instructions by ``task_index``; the instruction is the index of a pandas table, which names it as it likes."""
    rows = list(parquet_rows(path))
    named = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, str))
    usual = [name for name in named if name == "task" or name.startswith("__index_level_")]
    column = "task" if "task" in named else next(iter(usual or named), "")
    if len(named) > 1 and not usual:
        raise ValueError(f"{path} has several columns of text ({', '.join(named)}); call that of the instruction task.")
    return {row["task_index"]: _instruction(row.get(column), f"{path}, task {row['task_index']},") for row in rows}


def _instructions(value: Any, where: str) -> tuple[str, ...]:
    """An episode's instructions: a list of them, one text in its place, or null for none."""
    if isinstance(value, list | tuple):
        return tuple(_instruction(one, where) for one in value)
    return () if value is None else (_instruction(value, where),)


def _instruction(value: Any, where: str) -> str:
    """One instruction: a text, perhaps alone in a list; nothing for null."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where} has {value!r} in the place of an instruction, expected text; write it again.")
    return value or ""
