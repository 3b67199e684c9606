"""What a log file and a terminal are told of a run's progress."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import rich

from la4vla import fit
from la4vla.training.callbacks.progress import ProgressLines


def test_each_tenth_is_told_once_however_many_batches_make_a_step(capsys):
    lines = ProgressLines(lines=2)
    trainer = SimpleNamespace(global_step=0, max_steps=4, is_global_zero=True, callback_metrics={})
    lines.on_train_start(trainer, None)
    for batch in range(8):
        trainer.global_step = (batch + 1) // 2
        lines.on_train_batch_end(trainer, None)
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in told] == ["step 2/4", "step 4/4"]


@pytest.fixture
def drawn(monkeypatch):
    """Call a function that writes to a terminal of 100 columns; gives what the terminal was sent."""
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def call(act: Callable[[], None]) -> str:
        screen, keyboard = os.openpty()
        told: list[bytes] = []
        reader = threading.Thread(target=_read, args=(screen, told))
        reader.start()
        with os.fdopen(keyboard, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(rich, "_console", None)  # made anew, for this terminal
            act()
        reader.join(10)
        os.close(screen)
        return b"".join(told).decode()

    return call


def _read(screen: int, told: list[bytes]) -> None:
    try:
        while data := os.read(screen, 65536):
            told.append(data)
    except OSError:  # the other end is closed
        return


def test_on_a_terminal_the_bar_ends_before_the_report_and_names_the_run(workspace, mixed, drawn):
    told = drawn(lambda: fit.main([mixed, "name=drawn"]))
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", told)
    bar, report = plain.split("drawn: how this policy was trained")
    assert re.search(r"drawn ━+ 4/4 .*loss: \d\.\d+", bar)
    assert bar.endswith("\r\n")  # the report begins on a line of its own
    assert "━ " not in report and "it/s" not in report and "\r" not in report.replace("\r\n", "")
    assert not re.search(r"\x1b\[\d*[AK]", told.split("how this policy was trained")[1])  # nothing is drawn over
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h") == 1  # the cursor is there again
    assert "Epoch" not in plain and "v_num" not in plain
