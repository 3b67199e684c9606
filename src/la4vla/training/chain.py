"""Stages chain by `after`: a recipe's predecessor is trained first where no finished run of it exists."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from la4vla.cli import files_of, settings_of
from la4vla.models.trainer_state import is_checkpoint, name_of

# What may change between two starts of one run without changing its outcome (up to rounding), nor its name.
INCIDENTAL = (
    "name",
    "runs",
    "checkpoint_every",
    "data.workers",
    "model.backbone.init_args.instruction_tokens",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.max_time",
    "trainer.logger",
    "trainer.log_every_n_steps",
    "trainer.enable_autolog_hparams",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.profiler",
    "trainer.detect_anomaly",
    "trainer.deterministic",
    "trainer.benchmark",
)
# Callbacks that watch a run, or end it before its time.
WATCHING = ("Requeue", "Timer", "LearningRateMonitor", "DeviceStatsMonitor", "ModelSummary", "RichModelSummary")
# How a process ends that was interrupted (Ctrl-C), asked to end (SIGTERM), or whose time was up before its last step.
INTERRUPTED, TERMINATED, OUT_OF_TIME = 130, 143, os.EX_TEMPFAIL


def run_name(words: Sequence[str]) -> str:
    """The default name of the run that a command line asks for.

    A plain recipe gives its own name. ``after`` given on the command line is part of the name; overlays and other
    settings are named by a short hash of their text, so that commands of different outcomes never share a folder.

    >>> run_name(["recipes/la.yaml"])
    'la'
    >>> run_name(["recipes/finetune/metaworld.yaml", "after=recipes/la.yaml"])
    'metaworld_after_la'
    """
    files, settings = files_of(words), settings_of(words)
    name = Path(files[0]).stem
    rest = [Path(f).stem for f in files[1:] if not _is_incidental(Path(f))]
    for setting in settings:
        key, value = setting.split("=", 1)
        if key == "after":
            name += "_base" if value in ("null", "") else f"_after_{_stem(Path(value))}"
        elif not key.rstrip("+").startswith(tuple(f"{known}." for known in INCIDENTAL)):
            rest += [] if key.rstrip("+") in INCIDENTAL else [setting]
    if rest:
        name += "-" + hashlib.sha256("\n".join(rest).encode()).hexdigest()[:6]
    return name


def _stem(after: Path) -> str:
    return name_of(after) if is_checkpoint(after) else after.stem


def decisive(config: dict[str, Any]) -> dict[str, Any]:
    """``config`` without what does not decide the outcome; nested mappings that become empty are left out too."""
    left = _without(config, "")
    callbacks = (left.get("trainer") or {}).get("callbacks")
    if isinstance(callbacks, list):
        left["trainer"]["callbacks"] = [c for c in callbacks if not _watches(c)] or None
    return left


def finished_policy(recipe: Path, overlays: Sequence[str], runs: Path) -> Path:
    """The policy folder of a finished run of ``recipe``, trained now if there is none.

    Overlays (larger scale, a cluster) hold for the whole chain; ``key=value`` settings only for the recipe at its end.

    Raises:
        ValueError: If the predecessor fails, or is unfinished in a job of several processes, which must not train it
            in each of them.
    """
    words = [str(recipe), *overlays, f"runs={runs}"]
    folder = runs / run_name(words)
    if in_job():
        if not (folder / "policy" / "config.json").exists():
            raise ValueError(f"{folder} is not finished; run `python -m la4vla.fit {' '.join(words)}` first.")
        return folder / "policy"
    status = _fit(words)
    if status in (INTERRUPTED, TERMINATED, OUT_OF_TIME):
        raise SystemExit(status)  # it has said so itself, and how to go on
    if status or not (folder / "policy" / "config.json").exists():
        raise ValueError(f"{recipe}, which this recipe begins from, did not finish; its own message is above.")
    return folder / "policy"


def in_job() -> bool:
    """Whether a launcher (torchrun, srun) has started this process as one of several."""
    return any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"))


def _fit(words: Sequence[str]) -> int:
    """Fit in a process of its own, which is told to end when this one is, and ends when this one is gone."""
    child = subprocess.Popen([sys.executable, "-m", "la4vla.fit", *words], preexec_fn=_end_with_parent)
    try:
        return child.wait()
    except KeyboardInterrupt:
        _stop(child)
        raise  # whatever came of it, this process was asked to end as well
    finally:
        child.kill()  # a second Ctrl-C, or nothing where it has ended
        child.wait()


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to end that may have been asked already: a terminal's Ctrl-C reaches both, ``kill`` the parent alone.

    A fit at work takes two signals for one; one that is ending already is left alone for a second.
    """
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)
        child.wait()


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _is_incidental(overlay: Path) -> bool:
    """Whether nothing in an overlay decides the outcome."""
    tree = yaml.safe_load(overlay.read_text()) if overlay.is_file() else None
    if not isinstance(tree, dict) or not isinstance(trainer := tree.get("trainer", {}), dict):
        return False
    added = trainer.get("callbacks+")
    if isinstance(added, list) and all(_watches(c) for c in added):
        trainer.pop("callbacks+")
    return not _without(tree, "")


def _without(tree: dict[str, Any], prefix: str) -> dict[str, Any]:
    left = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if name.rstrip("+") in INCIDENTAL:
            continue
        below = any(known.startswith(f"{name}.") for known in INCIDENTAL)
        kept = _without(value, f"{name}.") if below and isinstance(value, dict) else value
        if kept != {} or not below:
            left[key] = kept
    return left


def _watches(callback: Any) -> bool:
    path = callback.get("class_path") if isinstance(callback, dict) else callback
    return str(path).rsplit(".", 1)[-1] in WATCHING
