"""What is written is whole or not there, and what stood there before stays until then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import SafetensorError

from la4vla.models.folders import new_folder, read_object, whole_files, write_object


def test_files_and_folders_replace_older_ones(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "old").write_text("old")
    (tmp_path / "kept").write_text("kept")
    with whole_files(tmp_path, "part", "last") as scratch:
        (scratch / "part").mkdir()
        (scratch / "part" / "new").write_text("new")
        (scratch / "last").write_text("last")
        assert not (tmp_path / "last").exists() and (tmp_path / "part" / "old").exists()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "kept",
        "last",
        "part",
        "part/new",
    ]


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(OSError, match="full"), whole_files(tmp_path, "file") as scratch:
        (scratch / "file").write_text("half")
        raise OSError("full")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "before"
    with pytest.raises(OSError, match="full"), new_folder(tmp_path / "folder") as whole:
        (whole / "file").write_text("half")
        raise OSError("full")
    assert not (tmp_path / "folder").exists()


def test_a_new_folder_is_new(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "folder") as whole:
        write_object(whole / "file", {"path": tmp_path}, str)
        assert not (tmp_path / "a" / "folder").exists()
    assert read_object(tmp_path / "a" / "folder" / "file", "gone") == {"path": str(tmp_path)}
    with pytest.raises(ValueError, match="exists: name a folder that does not"), new_folder(tmp_path / "a" / "folder"):
        raise AssertionError


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{", "file is damaged"), (b"\xff", "file is damaged"), (json.dumps([1]).encode(), "must hold a JSON object")],
)
def test_a_file_that_is_no_object(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^gone$"):
        read_object(tmp_path / "file", "gone")
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_object(tmp_path / "file", "gone")


@pytest.mark.parametrize("how", ["system", "safetensors"])
def test_a_full_disk_is_told_and_the_folder_stays(tmp_path, how):
    (tmp_path / "config.json").write_text("old")
    told = OSError(28, "No space left on device")
    if how == "safetensors":
        told = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(OSError, match=r"disk filled up while writing config\.json into .*free space"):
        with whole_files(tmp_path, "config.json"):
            raise told
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"] and (tmp_path / "config.json").read_text() == "old"
