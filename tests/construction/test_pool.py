"""Jobs come back from worker processes, failures stop them, and nothing outlives a parent that was killed."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from la4vla.construction.pool import run_jobs

# Whoever runs the tests in the background may have told them to ignore interruptions; the sleepers listen again.
SLEEPERS = """
import signal
import time
from functools import partial
from la4vla.construction.pool import run_jobs
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    list(run_jobs({n: partial(time.sleep, 600) for n in range(2)}, 2))
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_every_result_comes_back_under_its_number(processes):
    jobs = {n: partial(operator.mul, n, 10) for n in range(5)}
    assert dict(run_jobs(jobs, processes)) == {n: 10 * n for n in range(5)}


def test_a_failing_job_is_raised_and_no_other_is_waited_for():
    with pytest.raises(ZeroDivisionError):
        list(run_jobs({0: partial(time.sleep, 3600), 1: partial(operator.truediv, 1, 0)}, 2))


def test_an_interruption_ends_the_workers(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    parent = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
    while len(children(parent.pid)) < 3:
        time.sleep(0.05)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(timeout=60) != 0


def test_a_dying_worker_is_told_in_a_sentence():
    with pytest.raises(ChildProcessError, match="A worker process died"):
        list(run_jobs({0: partial(os._exit, 3), 1: partial(time.sleep, 0.0)}, 2))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    parent = subprocess.Popen([sys.executable, script])
    while len(workers := children(parent.pid)) < 3:  # the resource tracker and two workers
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while any(_runs(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
