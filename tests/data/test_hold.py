"""One process at a time, also on file systems without locks, and no folder is left of what failed."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading

import pytest

from la4vla.construction.vlm.answers import Answer, AnswerStore
from la4vla.data.hold import held, hold
from la4vla.evaluation.journal import Journal
from la4vla.training.run import Run


@pytest.fixture(params=[None, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF])
def locks(request, monkeypatch):
    """File systems with locks, and of several kinds without."""

    def refuse(descriptor, kind):
        raise OSError(request.param, "no locks here")

    if request.param is not None:
        monkeypatch.setattr(fcntl, "flock", refuse)


def test_one_has_it_at_a_time(locks, tmp_path, capsys):
    first, second = hold(tmp_path), threading.Event()

    def wait():
        release = hold(tmp_path, "fit")
        second.set()
        release()

    with pytest.raises(BlockingIOError):
        hold(tmp_path, wait=False)
    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    assert not second.wait(0.2)
    first()
    assert second.wait(10)
    waiter.join(10)
    assert f"Another fit works in {tmp_path}; waiting for it to end." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_who_died_bars_nobody_where_there_are_no_locks(tmp_path, monkeypatch):
    code = (
        "import errno, fcntl, os, pathlib, la4vla.data.hold as h\n"
        "def flock(*_): raise OSError(errno.ENOSYS, 'no locks')\n"
        f"fcntl.flock = flock; kept = h.hold(pathlib.Path({str(tmp_path)!r})); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert [p.name for p in tmp_path.iterdir()] == [".held"]

    def flock(*_):
        raise OSError(errno.ENOSYS, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    hold(tmp_path, wait=False)()


def test_everybody_who_locks_works_without_locks(locks, tmp_path):
    answer = Answer("[]", "tiny", "stop", 1, 1)
    assert AnswerStore(tmp_path / "answers").answer({"a": 1}, lambda body: answer) == answer
    assert [p.suffix for p in (tmp_path / "answers").rglob("*") if p.is_file()] == [".json"]
    with Journal(tmp_path / "evaluation", {"seed": 1}):
        with pytest.raises(ValueError, match="is being written to by another evaluation"):
            Journal(tmp_path / "evaluation", {"seed": 1}).__enter__()
    with Journal(tmp_path / "evaluation", {"seed": 1}):
        pass
    Run(tmp_path / "run", {}).take()
    with held(tmp_path / "build"):
        pass


def test_what_fails_leaves_no_empty_folder_and_no_others_goes(tmp_path):
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "mine" / "new" / "newer"):
        with pytest.raises(ValueError, match="no"), held(folder):
            raise ValueError("no")
    assert [p.name for p in tmp_path.rglob("*")] == ["mine"]
    with pytest.raises(ValueError, match="no"), held(tmp_path / "sets"):
        (tmp_path / "sets" / "la").mkdir()
        raise ValueError("no")
    assert [p.name for p in tmp_path.rglob("*")] == ["mine"]
    with pytest.raises(ValueError, match="no"), held(tmp_path / "begun"):
        (tmp_path / "begun" / "00000.tar").touch()
        raise ValueError("no")
    assert (tmp_path / "begun" / "00000.tar").exists()
