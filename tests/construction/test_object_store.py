"""Sets go to an object store and come from it: whole or not at all, resumable, copied once, checked by hash."""

from __future__ import annotations

import numpy as np
import pytest

from la4vla.construct import main
from la4vla.construction.build import build, ensure_built
from la4vla.construction.card import read_card
from la4vla.data.manifest import Manifest
from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.data.place import place
from la4vla.data.shards import Shards

upath = pytest.importorskip("upath")
SMALL = "reader.init_args.episodes=8"


@pytest.fixture
def store(monkeypatch):
    """An empty store in the memory of this process."""
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    return "memory://bucket/sets"


@pytest.fixture
def s3(monkeypatch, tmp_path):
    """A server on loopback that speaks S3, with an empty bucket."""
    pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    place("s3://bucket").fs.mkdir("bucket")
    yield "s3://bucket/sets"
    server.stop()


def test_a_set_goes_to_s3_and_trains_from_there(moving_card, s3, tmp_path, capsys):
    main([str(moving_card), SMALL, f"folder={s3}", "processes=2"])
    assert "40 segments" in capsys.readouterr().out
    main([str(moving_card), SMALL, f"folder={tmp_path / 'sets'}"])
    for path in (tmp_path / "sets").rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "sets")
            assert (place(s3) / str(name)).read_bytes() == path.read_bytes(), name
    assert not (place(s3) / ".progress").exists()
    sources = {"vla": Source(f"{s3}/vla", "visible")}
    here = {"vla": Source(str(tmp_path / "sets/vla"), "visible")}
    batches = [next(iter(_loader(s))) for s in (sources, here)]
    assert (batches[0].images == batches[1].images).all() and (batches[0].actions == batches[1].actions).all()
    ensure_built(f"{s3}/vla")
    with pytest.raises(FileNotFoundError, match=r"s3://bucket/sets/none holds no finished shard set\. Build it"):
        ensure_built(f"{s3}/none")


def _loader(sources):
    module = MixtureDataModule(sources, horizon=4, batch_size=4, workers=0)
    module.setup("fit")
    return module.train_dataloader()


def test_an_upload_that_fails_leaves_no_set_and_the_next_run_goes_on(moving_card, store, tmp_path, monkeypatch):
    declaration = read_card([str(moving_card), SMALL, f"folder={store}"])
    put, calls = place(store).fs.__class__.put_file, []

    def lost(self, local, remote, **settings):
        calls.append(remote)
        if len(calls) > 7:
            raise OSError("connection lost")
        return put(self, local, remote, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(place(store).fs.__class__, "put_file", lost)
        with pytest.raises(OSError, match="connection lost"):
            build(declaration)
    assert not (place(store) / "la/manifest.json").exists() and (place(store) / "la/00000.tar").exists()
    assert not (place(store) / calls[-1].rpartition("sets/")[2]).exists()
    written = (place(store) / "la/00000.tar").stat().st_mtime
    build(declaration)
    assert (place(store) / "la/00000.tar").stat().st_mtime == written
    build(read_card([str(moving_card), SMALL, f"folder={tmp_path / 'sets'}"]))
    assert Manifest.read(f"{store}/vla").to_json() == Manifest.read(tmp_path / "sets/vla").to_json()


def test_a_set_is_copied_once_and_checked(moving_card, store, tmp_path, capfd):
    build(read_card([str(moving_card), SMALL, f"folder={store}"]))
    shards = Shards(f"{store}/vla")
    assert shards.folder.parent == tmp_path / "cache/shards" and "Copying memory://" in capfd.readouterr().err
    assert shards.image(0, "eye", 0).shape == (16, 16, 3)
    again = Shards(f"{store}/vla")
    assert "Copying" not in capfd.readouterr().err
    np.testing.assert_array_equal(shards.actions, again.actions)
    tar = place(store) / "la/00001.tar"
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"memory://bucket/sets/la/00001\.tar has sha256 .*Upload it again"):
        Shards(f"{store}/la")
    tar.unlink()
    with pytest.raises(FileNotFoundError, match=r"la/00001\.tar is missing in the store"):
        Shards(f"{store}/la")


def test_a_store_that_lets_nobody_in_is_told(store, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    def forbidden(self, path, **settings):
        raise PermissionError("Forbidden")

    monkeypatch.setattr(MemoryFileSystem, "exists", forbidden)
    with pytest.raises(ConnectionError, match="memory://closed/sets cannot be reached: Forbidden Give credentials"):
        place("memory://closed/sets")


def test_what_is_not_there_is_told(store):
    with pytest.raises(FileNotFoundError, match="no shard folder memory://bucket/sets/la"):
        Manifest.read(f"{store}/la")
    with pytest.raises(ValueError, match="s3x://a names no kind of store"):
        place("s3x://a")
