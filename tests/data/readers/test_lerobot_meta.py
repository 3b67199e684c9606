"""What ``meta`` says, as other people's converters write it: instructions as text, null, newer minor versions."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.readers.lerobot_meta import read_meta
from la4vla.data.unusable import UnusableEpisode

OPEN = {"gripper_open": 1.0, "gripper_closed": 0.0, "size_px": 32}
EPISODES = {"v2.1": "meta/episodes.jsonl", "v3.0": "meta/episodes/chunk-000/file-000.parquet"}
TASKS = {"v2.1": "meta/tasks.jsonl", "v3.0": "meta/tasks.parquet"}


def rewrite(path, **columns):
    """Put other values into columns of a file of JSON lines, or of a parquet table."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row | {name: values[i] for name, values in columns.items()} for i, row in enumerate(rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    table = pq.read_table(path)
    for name, values in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(values))
    pq.write_table(table, path)


@pytest.mark.parametrize("version", EPISODES)
def test_an_instruction_written_as_text_is_not_its_first_letter(lerobot, version):
    folder, _ = lerobot(version)
    texts = ["Press the button", "Öffne die Schublade", "Press the button"]
    rewrite(folder / EPISODES[version], tasks=texts)
    reader = LeRobotReader(str(folder), **OPEN)
    assert reader.keys(["Press the button"]) == [("press-the-button", 0), ("press-the-button", 2)]
    assert [entry.tasks for entry in read_meta(folder).episodes.values()] == [(text,) for text in texts]
    assert reader.read(reader.keys()[1], False, Counter()).instruction == texts[1]


@pytest.mark.parametrize("version", EPISODES)
def test_episodes_without_a_list_of_instructions_take_what_their_rows_name(lerobot, version):
    folder, demos = lerobot(version)
    rewrite(folder / EPISODES[version], tasks=[None, ["Öffne die Schublade"], []])
    reader = LeRobotReader(str(folder), **OPEN)
    assert [task for task, _ in reader.keys()] == ["unnamed", "öffne-die-schublade", "unnamed"]
    assert [reader.read(key, False, Counter()).instruction for key in reader.keys()] == [demo.task for demo in demos]


def test_an_instruction_that_is_null_or_in_a_list_leaves_one_episode_out_or_none(lerobot):
    folder, demos = lerobot("v2.1")
    rewrite(folder / TASKS["v2.1"], task=[["Press the button"], None])
    reader = LeRobotReader(str(folder), **OPEN)
    assert reader.read(reader.keys()[2], False, Counter()).instruction == demos[2].task
    with pytest.raises(UnusableEpisode, match=r"000001 is left out \(no instruction\)"):
        reader.read(reader.keys()[1], False, Counter())


@pytest.mark.parametrize(
    ("version", "part", "changes", "sentence"),
    [
        (
            "v2.1",
            EPISODES,
            {"tasks": [[0], [1], [0]]},
            r"episodes\.jsonl, line 1, has 0 in the place of an instruction",
        ),
        ("v3.0", EPISODES, {"tasks": [[0], [1], [0]]}, r"meta/episodes, episode 0, has 0 in the place of an instruc"),
        ("v2.1", TASKS, {"task": [{"en": "go"}, "stay"]}, r"tasks\.jsonl, line 1, has \{'en': 'go'\} in the place"),
    ],
)
def test_an_instruction_that_is_no_text_is_told(lerobot, version, part, changes, sentence):
    folder, _ = lerobot(version)
    rewrite(folder / part[version], **changes)
    with pytest.raises(ValueError, match=sentence):
        LeRobotReader(str(folder), **OPEN)


def test_the_column_of_the_instruction_is_found_beside_other_texts(lerobot):
    folder, demos = lerobot("v3.0")
    path = folder / TASKS["v3.0"]
    names = pq.read_table(path)["__index_level_0__"]

    def told(**columns):
        pq.write_table(pa.table({"task_index": [0, 1], **columns}), path)
        (folder / "meta/info.json").touch()
        return read_meta(folder).tasks

    kinds = ["contact", "motion"]
    assert told(kind=kinds, task=names) == told(kind=kinds, __index_level_0__=names)
    assert told(what=names) == {0: demos[0].task, 1: demos[1].task}
    with pytest.raises(ValueError, match=r"several columns of text \(kind, what\); call that of the instruction task"):
        told(kind=kinds, what=names)


@pytest.mark.parametrize("fps", [0, "fast", [30], None])
def test_a_rate_that_is_none_is_told(lerobot, fps):
    folder, _ = lerobot()
    path = folder / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fps": fps}))
    with pytest.raises(ValueError, match=r"says fps .*, expected the steps of a second, above 0|lacks fps"):
        LeRobotReader(str(folder), **OPEN)


def test_metadata_that_is_no_object_is_told(lerobot):
    folder, _ = lerobot()
    (folder / "meta/info.json").write_text("[]")
    with pytest.raises(ValueError, match=r"info\.json holds list, expected a JSON object"):
        LeRobotReader(str(folder), **OPEN)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"features": []}, r"has features \[\], expected them by key"),
        ({"video_path": None}, r"has cameras of videos and lacks video_path"),
        ({"total_episodes": "3"}, r"says total_episodes '3', expected a number"),
        ({"chunks_size": 0}, r"is not as version v2\.1 of the format has it \(integer"),
    ],
)
def test_words_in_the_place_of_numbers_are_told(lerobot, change, sentence):
    folder, _ = lerobot()
    path = folder / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=sentence):
        LeRobotReader(str(folder), **OPEN)


def test_a_length_may_be_a_float_and_is_no_null(lerobot):
    folder, demos = lerobot()
    rewrite(folder / EPISODES["v2.1"], length=[7.0, 5.0, 9.0])
    reader = LeRobotReader(str(folder), **OPEN)
    assert len(list(reader.read(reader.keys()[0], True, Counter()).frames["front"])) == len(demos[0])
    rewrite(folder / EPISODES["v2.1"], length=[7, None, 9])
    with pytest.raises(ValueError, match="None is no number of steps"):
        LeRobotReader(str(folder), **OPEN)


def test_features_without_a_shape_are_nobodys_columns(lerobot):
    folder, _ = lerobot("v3.0")
    path = folder / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"]["language_events"] = {"dtype": "language", "shape": None}
    path.write_text(json.dumps(info | {"codebase_version": "v3.1"}))
    assert len(LeRobotReader(str(folder), **OPEN).keys()) == 3
    with pytest.raises(ValueError, match=r"no column of numbers 'language_events'; it has observation\.state, action"):
        LeRobotReader(str(folder), actions=["language_events"], **OPEN)
