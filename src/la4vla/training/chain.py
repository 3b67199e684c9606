"""Stages chain by `after`: a recipe's predecessor is trained first where no finished run of it exists."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from la4vla.cli import files_of, settings_of
from la4vla.models.trainer_state import is_checkpoint, name_of

# What may change between two starts of one run without changing its outcome, nor its name.
INCIDENTAL = (
    "name",
    "runs",
    "checkpoint_every",
    "data.workers",
    "model.backbone.init_args.instruction_tokens",
    "trainer.default_root_dir",
    "trainer.logger",
    "trainer.devices",
    "trainer.num_nodes",
)


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
    rest = [Path(f).stem for f in files[1:]]
    for setting in settings:
        key, value = setting.split("=", 1)
        if key == "after":
            name += "_base" if value in ("null", "") else f"_after_{_stem(Path(value))}"
        elif key not in INCIDENTAL:
            rest.append(setting)
    if rest:
        name += "-" + hashlib.sha256("\n".join(rest).encode()).hexdigest()[:6]
    return name


def _stem(after: Path) -> str:
    return name_of(after) if is_checkpoint(after) else after.stem


def finished_policy(recipe: Path, overlays: Sequence[str], runs: Path) -> Path:
    """The policy folder of a finished run of ``recipe``, trained now if there is none.

    Overlays (larger scale, a cluster) hold for the whole chain; ``key=value`` settings only for the recipe at its end.

    Raises:
        ValueError: If the predecessor fails, or is unfinished in a job of several processes, which must not train it
            in each of them.
    """
    words = [str(recipe), *overlays, f"runs={runs}"]
    folder = runs / run_name(words)
    if any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")):
        if not (folder / "policy" / "config.json").exists():
            raise ValueError(f"{folder} is not finished; run `python -m la4vla.fit {' '.join(words)}` first.")
        return folder / "policy"
    done = subprocess.run([sys.executable, "-m", "la4vla.fit", *words], check=False)
    if done.returncode:
        raise ValueError(f"{recipe}, which this recipe begins from, did not finish; its own message is above.")
    return folder / "policy"
