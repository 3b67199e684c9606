"""The folder of one fit: what was asked, where it came from, how far it is, what came out."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml

from la4vla.data.files import written_whole
from la4vla.data.hold import hold

PACKAGES = (
    "la4vla",
    "torch",
    "lightning",
    "transformers",
    "jsonargparse",
    "numpy",
    "webdataset",
    "metaworld",
    "mujoco",
)

# By folder, what would let go of it; this process has it until it ends.
_TAKEN: dict[Path, Callable[[], None]] = {}


class Run:
    """One fit's folder.

    ``config.yaml`` is the resolved recipe, ``provenance.json`` what is needed to run it again, ``checkpoints/`` the
    trainer's own state, ``policy/`` the exported policy, ``metrics.csv`` and ``loss.png`` the curves, ``report.md`` the
    closing report.

    Args:
        folder: The run's folder.
        config: The resolved recipe as plain YAML values, all that decides the outcome and nothing else.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.config = config
        text = json.dumps(config, sort_keys=True, default=str)
        self.config_hash = hashlib.sha256(text.encode()).hexdigest()[:16]

    def take(self) -> None:
        """Have this folder to oneself until the process ends; wait while another fit has it.

        Two fits of one recipe, or of two that begin from the same one, would write over each other's checkpoints. The
        second then finds what the first has finished.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.resolve() in _TAKEN:
            return
        _TAKEN[self.folder.resolve()] = hold(self.folder, "fit")

    def leave_if_empty(self) -> None:
        """Remove the folder again where a start that failed has left nothing in it but this process's empty logs."""
        if self.provenance() is None:
            for events in self.folder.glob(f"tensorboard/events.out.tfevents.*.{os.getpid()}.*"):
                events.unlink()
        inside = sorted(self.folder.glob("**/*"), reverse=True)
        if all(path.is_dir() and not path.is_symlink() for path in inside) and self.folder.is_dir():
            for path in (*inside, self.folder):
                path.rmdir()

    @property
    def policy(self) -> Path:
        """Where the finished policy is exported."""
        return self.folder / "policy"

    @property
    def checkpoints(self) -> Path:
        """Where the trainer keeps its state."""
        return self.folder / "checkpoints"

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest trainer state, if there is one."""
        last = self.checkpoints / "last.ckpt"
        return last if last.exists() else None

    def state(self, made_from: Mapping[str, str] | None = None) -> Literal["new", "unfinished", "finished"]:
        """How far this run is.

        Args:
            made_from: Hashes of what the run begins from, by name; those it did not record are not compared.

        Raises:
            ValueError: If the folder holds a run of another configuration, or made from something else, saying what
                differs.
        """
        provenance = self.provenance()
        if provenance is None:
            return "new"
        if provenance["config_hash"] != self.config_hash:
            raise ValueError(
                f"{self.folder} holds a run of another configuration ({self._difference()}). Give this one a name of "
                f"its own (name=...), or delete {self.folder} to train it anew."
            )
        recorded = provenance.get("made_from", {})
        for name, now in (made_from or {}).items():
            if (then := recorded.get(name, now)) != now:
                raise ValueError(
                    f"{self.folder} was made from another {name} (hash {then[:12]} there, {now[:12]} here). Give this "
                    f"run a name of its own (name=...), or delete {self.folder} to train it anew."
                )
        return "finished" if provenance.get("finished") else "unfinished"

    def provenance(self) -> dict[str, Any] | None:
        """The provenance written so far, or None."""
        path = self.folder / "provenance.json"
        return json.loads(path.read_text()) if path.exists() else None

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Write the resolved recipe and what is known before training; a resume keeps the first start's time."""
        before = self.provenance() or {}
        started = before.get("started", _now())
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "config.yaml", yaml.safe_dump(dict(self.config), sort_keys=False))
        self._write({"config_hash": self.config_hash, "started": started, **environment(), **facts})

    def finish(self, results: Mapping[str, Any]) -> None:
        """Add what came out; from now on the run counts as finished."""
        self._write({**(self.provenance() or {}), "finished": _now(), "results": dict(results)})

    def _write(self, provenance: Mapping[str, Any]) -> None:
        write_text(self.folder / "provenance.json", json.dumps(provenance, indent=2, default=str) + "\n")

    def _difference(self) -> str:
        path = self.folder / "config.yaml"
        old = flatten(yaml.safe_load(path.read_text())) if path.exists() else {}
        new = flatten(self.config)
        keys = [k for k in sorted(old.keys() | new.keys()) if str(old.get(k)) != str(new.get(k))]
        told = [f"{k}: {old.get(k)} there, {new.get(k)} here" for k in keys[:3]]
        return "; ".join(told) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings and lists by dotted key."""
    if isinstance(tree, Mapping):
        items = [(str(k), v) for k, v in tree.items()]
    elif isinstance(tree, list):
        items = [(str(i), v) for i, v in enumerate(tree)]
    else:
        return {prefix[:-1]: tree}
    return {k: v for name, value in items for k, v in flatten(value, f"{prefix}{name}.").items()}


def environment() -> dict[str, Any]:
    """The code and libraries of this process: git revision, versions, host."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"git": git_revision(), "versions": versions, "platform": platform.platform(), "cpus": os.cpu_count()}


def git_revision() -> dict[str, Any] | None:
    """The commit the code was run from and whether files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        sha = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"sha": sha, "dirty": bool(changed)}


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either whole or not there."""
    with written_whole(path) as file:
        file.write(text.encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
