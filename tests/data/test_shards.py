from __future__ import annotations

import errno
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset

from la4vla.data.manifest import Manifest
from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.data.record import Record
from la4vla.data.shard_index import ShardIndex
from la4vla.data.shard_writer import write_index, write_manifest, write_shard
from la4vla.data.shards import Shards
from la4vla.data.transforms import decode_jpeg, encode_jpeg
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import Shot, ViewProfile


def record(key="one", steps=5, frames=(), **changes):
    rng = np.random.default_rng(len(key))
    fields = {
        "key": key,
        "task": "drawer-open",
        "instruction": "Bewege dich vorwärts",
        "primitive": "pull",
        "directions": ("backward", "upward"),
        "parent": "episode7",
        "start": 12,
        "quality": 2.5,
        "proprioception": rng.normal(size=(steps, 4)).astype(np.float32),
        "actions": rng.normal(size=(steps, 4)).astype(np.float32),
        "frame_steps": np.asarray(frames, dtype=np.int64),
    }
    if len(frames):
        fields["images"] = {"corner2": [encode_jpeg(rng.integers(0, 256, (16, 16, 3), np.uint8)) for _ in frames]}
    return Record(**{**fields, **changes})


def domain(embodiment, frames=False):
    statistics = Statistics(*[np.zeros(4)] * 6, count=1)
    return Domain(
        embodiment, ViewProfile("tiny", (Shot("corner2", 16),), 16) if frames else None, statistics, statistics
    )


def finish(folder, embodiment, frames=False, **changes):
    files = sorted(path.name for path in folder.glob("*.tar"))
    return write_manifest(
        folder, **{"name": "set", "unit": "segment", "domain": domain(embodiment, frames), "shards": files, **changes}
    )


def assert_equal(one, other):
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(other, name)) and value.dtype == getattr(other, name).dtype, name
        elif name == "images":
            assert {k: list(v) for k, v in value.items()} == {k: list(v) for k, v in other.images.items()}
        else:
            assert value == getattr(other, name), name


def test_a_shard_reads_back_as_written(tmp_path, tiny_arm):
    written = [
        record("a", 5, (0, 2, 4)),
        record("b", 3, (1,), primitive=None, quality=None, parent=None),
        record("c", 1),
    ]
    write_shard(tmp_path / "00000.tar", written[:2])
    write_shard(tmp_path / "00001.tar", written[2:])
    manifest = finish(
        tmp_path,
        tiny_arm,
        frames=True,
        phases=[{"phase": "verified", "episodes": 3}],
        dropped={"short": 2},
        card={"name": "tiny"},
    )
    shards = Shards(tmp_path)
    assert len(shards) == 3 and shards.cameras == ("corner2",)
    for i, one in enumerate(written):
        assert_equal(one, shards.record(i))
    assert shards.manifest.to_json() == manifest.to_json()
    assert [(entry.records, entry.steps) for entry in manifest.shards] == [(2, 8), (1, 1)]
    assert np.array_equal(shards.actions[shards.starts[1] : shards.starts[2]], written[1].actions)
    assert np.array_equal(shards.image(0, "corner2", 2), decode_jpeg(written[0].images["corner2"][2]))
    shards.verify()


def test_few_tars_are_open_at_once(tmp_path, tiny_shards, monkeypatch):
    shards = Shards(tiny_shards(tmp_path / "s", frames=True, shards=3))
    frames = range(len(shards.frame_steps))
    expected = [shards.frame(frame, "corner2") for frame in frames]
    shards.close()
    monkeypatch.setattr("la4vla.data.shards.MOST_OPEN", 2)
    for frame in (*frames, *reversed(frames)):
        assert np.array_equal(shards.frame(frame, "corner2"), expected[frame])
        assert len(shards._descriptors) <= 2


def test_plain_webdataset_reads_the_tar(tmp_path):
    written = [record("a", 5, (0, 3)), record("b", 3)]
    write_shard(tmp_path / "00000.tar", written)
    read = list(webdataset.WebDataset(str(tmp_path / "00000.tar"), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in read] == ["a", "b"]
    for one, sample in zip(written, read, strict=True):
        assert np.array_equal(sample["actions.npy"], one.actions)
        assert np.array_equal(sample["proprioception.npy"], one.proprioception)
        assert sample["json"]["instruction"] == one.instruction and sample["json"]["parent"] == one.parent
        assert sample["json"]["frame_steps"] == one.frame_steps.tolist()
    assert read[0]["corner2.00001.jpg"] == written[0].images["corner2"][1]
    assert "corner2.00000.jpg" not in read[1]


def test_equal_data_has_equal_bytes_and_equal_hash(tmp_path, tiny_shards):
    one, same, other = (tiny_shards(tmp_path / n, frames=True, seed=s) for n, s in (("a", 0), ("b", 0), ("c", 1)))
    assert (one / "00001.tar").read_bytes() == (same / "00001.tar").read_bytes()
    assert Manifest.read(one).content_hash == Manifest.read(same).content_hash != Manifest.read(other).content_hash


def test_an_open_set_survives_pickling(tmp_path, tiny_shards):
    shards = Shards(tiny_shards(tmp_path / "s", frames=True))
    before = shards.jpeg(4, "corner2", 1)
    copy = pickle.loads(pickle.dumps(shards))
    del shards
    assert copy.jpeg(4, "corner2", 1) == before


def test_the_index_can_be_made_again(tmp_path, tiny_shards):
    folder = tiny_shards(tmp_path / "s", frames=True)
    before = (folder / "00000.index.npz").read_bytes()
    (folder / "00000.index.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"00000\.index\.npz is missing"):
        Shards(folder)
    write_index(folder / "00000.tar")
    assert (folder / "00000.index.npz").read_bytes() == before


def test_missing_folders_and_unfinished_sets_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no shard folder"):
        Shards(tmp_path / "nowhere")
    write_shard(tmp_path / "00000.tar", [record()])
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json, which is written last"):
        Shards(tmp_path)


def test_another_schema_version_is_refused(tmp_path, tiny_shards):
    path = tiny_shards(tmp_path / "s") / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    with pytest.raises(ValueError, match="shard schema 99, this version reads schema 2"):
        Shards(path.parent)


def test_a_damaged_manifest_is_named(tmp_path, tiny_shards):
    path = tiny_shards(tmp_path / "s") / "manifest.json"
    whole = path.read_bytes()
    for damaged in (whole[:50], whole.replace(b"m", b"\xff", 1)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"manifest\.json is not valid JSON"):
            Shards(path.parent)
        with pytest.raises(ValueError, match=r"Source la: .*manifest\.json is not valid JSON"):
            MixtureDataModule({"la": Source(str(path.parent), "masked")})
    path.write_text("[]")
    with pytest.raises(ValueError, match="must hold a JSON object, got list"):
        Shards(path.parent)


@pytest.mark.parametrize("lost", [1, 512, 20000])
def test_a_truncated_tar_is_named(tmp_path, tiny_shards, lost):
    tar = tiny_shards(tmp_path / "s", frames=True) / "00001.tar"
    tar.write_bytes(tar.read_bytes()[:-lost])
    with pytest.raises(ValueError, match=r"00001\.tar is truncated: \d+ bytes expected"):
        Shards(tar.parent)


def test_a_missing_tar_and_a_damaged_index_are_named(tmp_path, tiny_shards):
    folder = tiny_shards(tmp_path / "s")
    index = folder / "00000.index.npz"
    index.write_bytes(index.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"Shard index .*00000\.index\.npz is damaged"):
        Shards(folder)
    (folder / "00000.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"00000\.tar is missing"):
        Shards(folder)


def test_changed_bytes_are_found_by_verify(tmp_path, tiny_shards):
    folder = tiny_shards(tmp_path / "s")
    offset, size = ShardIndex.read(folder / "00000.tar").low_dim[0, 2]
    with open(folder / "00000.tar", "r+b") as file:
        file.seek(offset + size - 4)
        file.write(b"\0\0\0\0")
    with pytest.raises(ValueError, match=r"00000\.tar has sha256"):
        Shards(folder).verify()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"actions": np.zeros((5, 3), np.float32)}, r"actions \(5, 3\) do not agree with embodiment tiny_arm"),
        ({"proprioception": np.zeros((5, 6), np.float32)}, r"proprioception \(5, 6\)"),
    ],
)
def test_records_of_another_body_are_refused(tmp_path, tiny_arm, changes, sentence):
    write_shard(tmp_path / "00000.tar", [record("good"), record("odd", **changes)])
    with pytest.raises(ValueError, match=rf"00000\.tar, record odd: .*{sentence}"):
        finish(tmp_path, tiny_arm)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"actions": np.zeros((4, 4), np.float32)}, r"one T of at least 1, got \(5, 4\) and \(4, 4\)"),
        ({"frame_steps": np.array([0, 1])}, "frame_steps names 2 steps, but there are 0 frames"),
        ({"frame_steps": np.array([3, 1]), "images": {"corner2": [b"", b""]}}, "must ascend inside 0 to 4"),
        ({"frame_steps": np.array([3, 5]), "images": {"corner2": [b"", b""]}}, "must ascend inside 0 to 4"),
        ({"actions": np.full((5, 4), np.nan, np.float32)}, "not finite"),
        ({"key": "a.b"}, "'a.b' is no member name"),
    ],
)
def test_records_that_do_not_fit_together_are_not_written(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        write_shard(tmp_path / "00000.tar", [record("good"), record(**{"key": "odd", **changes})])
    assert list(tmp_path.iterdir()) == []


def test_frame_steps_changed_in_the_tar_are_named(tmp_path, tiny_arm):
    write_shard(tmp_path / "00000.tar", [record("one", 5, (0, 4))])
    finish(tmp_path, tiny_arm, frames=True)
    tar = tmp_path / "00000.tar"
    tar.write_bytes(tar.read_bytes().replace(b'"frame_steps": [0, 4]', b'"frame_steps": [0, 5]'))
    with pytest.raises(ValueError, match=r"00000\.tar, record one: frame_steps must ascend inside 0 to 4"):
        Shards(tmp_path)


def test_keys_are_unique(tmp_path, tiny_arm):
    with pytest.raises(ValueError, match="Record key one occurs twice in one shard"):
        write_shard(tmp_path / "00000.tar", [record(), record()])
    for file in ("00000.tar", "00001.tar"):
        write_shard(tmp_path / file, [record()])
    with pytest.raises(ValueError, match="Record key one occurs twice"):
        finish(tmp_path, tiny_arm)


def test_frames_and_view_profile_go_together(tmp_path, tiny_arm):
    write_shard(tmp_path / "00000.tar", [record("one", 5, (0,))])
    with pytest.raises(ValueError, match="names no view profile, but its shards hold frames"):
        finish(tmp_path, tiny_arm)
    with pytest.raises(ValueError, match=r"out of \['left'\]"):
        finish(tmp_path, replace(tiny_arm, cameras=("left",)), frames=True)


def test_a_corrupt_jpeg_is_named_when_decoded(tmp_path, tiny_arm):
    broken = [encode_jpeg(np.zeros((16, 16, 3), np.uint8)), b"\xff\xd8 no image"]
    write_shard(tmp_path / "00000.tar", [record("a", 5), record("b", 5, (1, 2), images={"corner2": broken})])
    finish(tmp_path, tiny_arm, frames=True)
    shards = Shards(tmp_path)
    assert shards.image(1, "corner2", 0).shape == (16, 16, 3)
    sentence = r"00000\.tar, record b, camera corner2, frame 1: the JPEG is corrupt"
    with pytest.raises(ValueError, match=sentence):
        shards.image(1, "corner2", 1)
    with pytest.raises(ValueError, match=sentence):
        shards.decode_frames(np.array([0, 1]), "corner2", np.empty((2, 16, 16, 3), np.uint8), np.array([0, 1]))


@pytest.mark.parametrize("size", [8, 24])
def test_an_image_of_another_size_is_named(tmp_path, tiny_arm, size):
    images = {"corner2": [encode_jpeg(np.zeros((size, size, 3), np.uint8))]}
    write_shard(tmp_path / "00000.tar", [record("a", 5, (1,), images=images)])
    finish(tmp_path, tiny_arm, frames=True)
    with pytest.raises(ValueError, match=f"frame 0: the image is {size}x{size} px, its view profile says 16x16"):
        Shards(tmp_path).decode_frames(np.array([0]), "corner2", np.empty((1, 16, 16, 3), np.uint8), np.array([0]))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("part", [".00000.tar.part", ".00000.index.npz.part"])
def test_a_full_disk_leaves_nothing(tmp_path, part):
    (tmp_path / part).symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"disk filled up while writing .*00000\.(tar|index\.npz)") as caught:
        write_shard(tmp_path / "00000.tar", [record("a", 4000)])
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_leaves_the_set_unfinished(tmp_path, tiny_arm):
    write_shard(tmp_path / "00000.tar", [record()])
    (tmp_path / ".manifest.json.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="disk filled up"):
        finish(tmp_path, tiny_arm)
    assert not (tmp_path / "manifest.json").exists()
