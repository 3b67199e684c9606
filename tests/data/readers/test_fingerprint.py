"""A fingerprint follows what is read of an episode, and nothing else."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.data.readers.fingerprint import ENDS, Fingerprinted, file_digest
from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.readers.metaworld_experts import MetaworldExperts

VERSIONS = ("v2.1", "v3.0")


def prints(root, frames=False) -> dict[str, str]:
    reader = LeRobotReader(str(root), gripper_open=1.0, gripper_closed=0.0)
    return dict(reader.fingerprints(reader.keys(), frames))


@pytest.mark.parametrize("version", VERSIONS)
def test_copies_and_touched_files_are_the_same(lerobot, tmp_path, version):
    root, _ = lerobot(version)
    before = prints(root, frames=True)
    assert list(before) == ["000000", "000001", "000002"] and len(set(before.values())) == 3
    shutil.copytree(root, tmp_path / "copy")
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    assert prints(root, frames=True) == before == prints(tmp_path / "copy", frames=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_one_corrected_number_changes_one_episode(lerobot, version):
    root, _ = lerobot(version)
    before = prints(root)
    path = sorted((root / "data").rglob("*.parquet"))[0]  # holds two episodes in version 3.0
    table = pq.read_table(path)
    actions = np.stack(table["action"].to_pylist()).astype(np.float32)
    actions[2, 1] += 0.5
    column = pa.FixedSizeListArray.from_arrays(pa.array(actions.ravel()), 7)
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), path)
    after = prints(root)
    assert [name for name in before if after[name] != before[name]] == ["000000"]


def test_a_corrected_text_changes_the_episodes_that_bear_it(lerobot):
    root, _ = lerobot("v2.1")
    before = prints(root)
    tasks = root / "meta" / "tasks.jsonl"
    tasks.write_text(tasks.read_text(encoding="utf-8").replace("die Schublade", "den Schrank"), encoding="utf-8")
    after = prints(root)
    assert [name for name in before if after[name] != before[name]] == ["000001"]


def test_films_matter_where_pictures_are_read(lerobot, refilm):
    root, _ = lerobot("v2.1")
    blind, seeing = prints(root), prints(root, frames=True)
    film = root / "videos/chunk-000/observation.images.wrist/episode_000002.mp4"
    refilm(film, 8, 15)
    assert prints(root) == blind
    assert [name for name, digest in prints(root, frames=True).items() if digest != seeing[name]] == ["000002"]
    film.unlink()
    assert prints(root, frames=True)["000002"] == ""


def test_of_a_large_file_its_size_and_ends_are_looked_at(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(3 * ENDS))
    whole = file_digest(path)
    path.write_bytes(bytes(3 * ENDS - 1) + b"x")
    assert file_digest(path) != whole != file_digest(tmp_path / "nothing") == ""


def test_simulated_readers_depend_on_their_arguments_alone():
    assert not isinstance(MetaworldExperts(tasks=["reach"], episodes=1), Fingerprinted)
