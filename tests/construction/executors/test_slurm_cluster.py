"""Workers in SLURM jobs: the script that is submitted, and a whole build where sbatch is one of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from la4vla.construction.build import build
from la4vla.construction.card import read_card
from la4vla.construction.executors.slurm_cluster import SlurmCluster
from la4vla.data.manifest import Manifest

# importing it takes SIGINT from the tests
pytestmark = pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="needs the extra cluster")

# What SLURM does, without its queue: a script runs aside, under a number that scancel takes.
SBATCH = """#!/bin/sh
echo "$@" >> {log}
cp "$1" {log}.$$
setsid sh {log}.$$ >/dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job in "$@"; do kill -- -"$job"; done
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """``sbatch`` and ``scancel`` of our own; returns the file that lists what was submitted."""
    folder, log = tmp_path / "bin", tmp_path / "submitted"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH.format(log=log)), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


# A worker that a busy machine does not start within a minute gives up, and the build waits for it for ever.
@pytest.mark.skipif("LA4VLA_SLURM_TEST" not in os.environ, reason="wants an idle machine; set it to 1")
def test_a_build_submits_its_workers_and_ends_them(moving_card, slurm, tmp_path):
    words = ["executor=SlurmCluster", "executor.jobs=1", "executor.interface=lo", "reader.init_args.episodes=8"]
    build(read_card([str(moving_card), *words, f"folder={tmp_path / 'there'}"]))
    build(read_card([str(moving_card), words[-1], f"folder={tmp_path / 'here'}"]))
    here, there = (Manifest.read(tmp_path / where / "vla") for where in ("here", "there"))
    assert here.to_json() == there.to_json()
    assert len(slurm.read_text().splitlines()) == 1
    deadline = time.monotonic() + 30
    while (running := _workers()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running


def _workers() -> list[str]:
    """Command lines of our Dask workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:
            continue
        if "dask_worker" in line and "la4vla" in line and Path(path.parent / "status").exists():
            found.append(line)
    return found


def test_the_submitted_script_says_what_the_card_says():
    executor = SlurmCluster(
        jobs=3, workers_per_job=4, memory="16GB", walltime="01:30:00", partition="cpu", account="robots",
        interface="lo", directives=["--constraint=avx512"], prologue=["module load osmesa"],
    )  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    with executor.cluster() as cluster:
        script = cluster.job_script()
    for line in ("-p cpu", "-A robots", "-n 1", "--cpus-per-task=4", "--mem=15G", "-t 01:30:00", "--constraint=avx512"):
        assert f"#SBATCH {line}\n" in script
    assert "\nmodule load osmesa\n" in script
    assert "--nthreads 1 " in script and "--nworkers 4 " in script
    assert signal.getsignal(signal.SIGINT) is before


def test_without_slurm_it_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match=r"no `sbatch` on this machine; .*login node"):
        list(SlurmCluster(jobs=1).run({0: int}))
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 1"):
        SlurmCluster(jobs=0)


REFUSING = """#!/bin/sh
echo x >> {log}
[ "$(wc -l < {log})" -gt {times} ] && echo "Submitted batch job 7" && exit 0
echo "sbatch: error: invalid partition specified: gpuu" >&2
exit 1
"""


@pytest.fixture
def impatient(monkeypatch):
    """Further tries and looks follow at once."""
    monkeypatch.setattr("la4vla.construction.executors.slurm_submission.DELAYS_S", (0.5, 0.5))
    monkeypatch.setattr("la4vla.construction.executors.dask_watch.EVERY_S", 0.1)


def test_a_refused_job_is_told_tried_again_and_given_up(slurm, impatient, capsys):
    (slurm.parent / "bin" / "sbatch").write_text(REFUSING.format(log=slurm, times=99))
    told = r"sbatch has refused \d times and no worker is left \(sbatch: error: invalid partition specified: gpuu\)"
    with pytest.raises(ConnectionRefusedError, match=told):
        list(SlurmCluster(jobs=2, interface="lo").run({0: int, 1: int}))
    assert capsys.readouterr().err.count("invalid partition specified: gpuu); trying again in 0.5 s.") >= 2


def test_a_job_that_is_accepted_later_is_waited_for(slurm, impatient, capsys):
    (slurm.parent / "bin" / "sbatch").write_text(REFUSING.format(log=slurm, times=2))
    with pytest.raises(TimeoutError, match=r"has no worker yet, for \d s now"):
        list(SlurmCluster(jobs=1, interface="lo", patience_s=4.0).run({0: int}))
    assert len(slurm.read_text().splitlines()) == 3
    assert "trying again in 0.5 s." in capsys.readouterr().err


def test_an_interruption_keeps_its_sentence_whoever_imported_dask_jobqueue_first():
    def theirs(*_):
        sys.exit()  # status 0, without a word

    theirs.__module__ = "dask_jobqueue.runner"
    before = signal.signal(signal.SIGINT, theirs)
    try:
        with SlurmCluster(jobs=1, interface="lo").cluster():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_reading_a_card_leaves_the_interruption_alone(moving_card):
    program = (
        "import signal, sys; from la4vla.construction.card import read_card; read_card(sys.argv[1:]); "
        "sys.exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    words = [str(moving_card), "executor=SlurmCluster", "executor.jobs=1"]
    done = subprocess.run([sys.executable, "-c", program, *words], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0
