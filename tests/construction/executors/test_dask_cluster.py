"""A cluster builds what processes build, to the byte, loses nothing with a worker, and is missed in a sentence."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from la4vla.construction.build import build
from la4vla.construction.card import read_card
from la4vla.construction.executors.dask_client import run_on
from la4vla.data.manifest import Manifest

distributed = pytest.importorskip("distributed")
SCHEDULER = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
WORKER = ["distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]


@contextmanager
def program(*words: str):
    """A module as a program of its own, killed at the end."""
    running = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def address_in(file: Path, timeout_s: float = 60.0) -> str:
    """The address in a scheduler's file; the scheduler makes the file first and writes to it afterwards."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads(file.read_text())["address"]
        time.sleep(0.05)
    raise TimeoutError(f"{file} holds no address after {timeout_s:g} s")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_cluster_whose_worker_is_killed_builds_the_same_bytes_as_processes(moving_card, tmp_path):
    build(read_card([str(moving_card), f"folder={tmp_path / 'here'}"]))
    pids = tmp_path / "pids"
    pids.mkdir()
    with ExitStack() as running:
        file = tmp_path / "scheduler.json"
        running.enter_context(program(*SCHEDULER, "--scheduler-file", str(file)))
        workers = [running.enter_context(program(*WORKER, "--scheduler-file", str(file))) for _ in range(2)]
        address = address_in(file)
        words = ["executor=DaskCluster", f"executor.address={address}", f"folder={tmp_path / 'there'}"]
        slow = ["reader.init_args.seconds=0.05", f"reader.init_args.pids={pids}"]
        declaration = read_card([str(moving_card), *slow, *words])
        builder = threading.Thread(target=build, args=(declaration,))
        builder.start()
        while len(list(pids.iterdir())) < 2:
            time.sleep(0.02)
        os.kill(workers[0].pid, signal.SIGKILL)
        assert len(list((tmp_path / "there/.progress").glob("*.json"))) < 15, "it was killed too late"
        builder.join(120)
        assert not builder.is_alive() and {p.name for p in pids.iterdir()} == {str(w.pid) for w in workers}
    here, there = (contents(tmp_path / where) for where in ("here", "there"))
    assert here.keys() == there.keys() and len(here) >= 62
    assert all(here[name] == there[name] for name in here if name.endswith((".tar", ".npz")))
    manifests = [Manifest.read(tmp_path / where / "vla") for where in ("here", "there")]
    assert manifests[0].domain.to_json() == manifests[1].domain.to_json()
    assert "executor" not in manifests[1].card and "processes" not in manifests[1].card


def test_no_scheduler_is_told_within_seconds(moving_card):
    begin = time.monotonic()
    words = [str(moving_card), "executor=DaskCluster", "executor.address=tcp://127.0.0.1:9", "executor.timeout_s=1"]
    with pytest.raises(ConnectionError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9 .*correct the address"):
        build(read_card(words))
    assert time.monotonic() - begin < 20


@pytest.fixture
def client():
    """A cluster inside this process, with one worker of one thread."""
    with (
        distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_results_come_back_under_their_numbers_and_a_failure_is_raised(client):
    jobs = {n: partial(operator.mul, n, 10) for n in range(5)}
    assert dict(run_on(client, jobs)) == {n: 10 * n for n in range(5)}
    with pytest.raises(ZeroDivisionError):
        list(run_on(client, {0: partial(operator.truediv, 1, 0), 1: partial(time.sleep, 0.1)}))


def test_workers_that_would_not_build_the_same_are_refused(client, monkeypatch):
    monkeypatch.setattr("la4vla.construction.executors.dask_client.pickle.dumps", lambda job: b"")
    (worker,) = client.cluster.workers.values()
    worker.state.nthreads = 2
    with pytest.raises(ValueError, match=r"has 2 threads, .*--nthreads 1"):
        list(run_on(client, {0: partial(operator.mul, 1, 1)}))


def test_a_scheduler_that_is_lost_is_told(client):
    jobs = run_on(client, {n: partial(time.sleep, 0.2 * n) for n in range(3)})
    next(jobs)
    client.cluster.close()
    with pytest.raises(ConnectionError, match="scheduler was lost"):
        list(jobs)


def _pause(dask_worker) -> None:
    dask_worker.status = distributed.Status.paused


def _resume(dask_worker) -> None:
    dask_worker.status = distributed.Status.running


@pytest.fixture
def thrifty(monkeypatch):
    """A cluster like ``client``, whose workers nobody but the test pauses."""
    monkeypatch.setattr("la4vla.construction.executors.dask_watch.EVERY_S", 0.05)
    settings = {"threads_per_worker": 1, "processes": False, "dashboard_address": None, "memory_limit": 0}
    with (
        distributed.LocalCluster(1, **settings) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_workers_that_are_paused_are_told_and_waited_for_so_long(thrifty, capsys):
    thrifty.run(_pause)
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match=r"All 1 workers of the cluster are paused, .*run the same command again"):
        list(run_on(thrifty, {0: int}, patience_s=0.5))
    assert time.monotonic() - begin < 10
    assert "lack of memory; waiting at most 0 s for one." in capsys.readouterr().err
    waking = threading.Timer(0.5, thrifty.run, args=(_resume,))
    waking.start()
    assert dict(run_on(thrifty, {0: partial(time.sleep, 1.0)}, patience_s=30.0)) == {0: None}
    assert "Going on with 1 worker." in capsys.readouterr().err


def test_workers_that_leave_are_told_and_those_that_come_are_taken(thrifty, capsys):
    jobs = run_on(thrifty, {n: partial(time.sleep, 0.4 * n) for n in range(4)}, patience_s=60.0)
    next(jobs)
    thrifty.cluster.scale(0)
    back = threading.Timer(2.0, thrifty.cluster.scale, args=(1,))
    back.start()
    assert len(list(jobs)) == 3
    told = capsys.readouterr().err
    assert "The cluster has no worker any more; waiting at most 60 s for one." in told and "Going on with" in told
