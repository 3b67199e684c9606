"""The LIBERO package, imported without its questions, and its files: assets, scenes and initial states."""

from __future__ import annotations

import logging
import os
import pickle
import re
import tempfile
import zipfile
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import yaml

from la4vla.simulators.libero_tasks import FOLDERS, OFFICIAL_STATES, Task

ASSETS_VARIABLE = "LA4VLA_LIBERO_ASSETS"
# What every scene loads; a folder without them is not LIBERO's.
ASSET_FOLDERS = ("articulated_objects", "scenes", "stable_hope_objects", "stable_scanned_objects", "textures")
# What a pickled array names, and where numpy keeps it now.
ARRAY_PARTS = {
    ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"): ("numpy", "ndarray"),
    ("numpy", "dtype"): ("numpy", "dtype"),
    ("_codecs", "encode"): ("_codecs", "encode"),
}


@cache
def libero() -> ModuleType:
    """The package's module ``libero.libero``, which knows where its assets are.

    Raises:
        ImportError: If the package is not installed.
        FileNotFoundError: If there are no assets: not where ``LA4VLA_LIBERO_ASSETS`` says, not in the package, and the
            hub that the package downloads them from is not to be reached.
    """
    if find_spec("libero") is None:
        raise ImportError(
            "LIBERO is not installed: `pip install la4vla[libero]` (see the README for its apt packages)."
        )
    _answer_beforehand()
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)  # three lines about a macro file that nobody needs
    package = import_module("libero.libero")
    # What the package asks itself first, whenever it loads a scene.
    vars(package)["_assets_path_cache"] = str(_assets(package))
    return package


def scene_file(task: Task) -> Path:
    """The file that describes a task's scene and goal."""
    return _root() / "bddl_files" / FOLDERS[task.suite] / f"{task.name}.bddl"


def things_in(task: Task) -> frozenset[str]:
    """Kinds of things that lie about in a task's scene, ``"tomato_sauce"`` for one."""
    declared = re.search(r"\(:objects(.*?)\)", scene_file(task).read_text(), re.DOTALL)
    return frozenset(re.findall(r"- (\w+)", declared.group(1))) if declared else frozenset()


@cache
def official_states(task: Task) -> np.ndarray:
    """The initial states the package ships for a task, ``(50, 1 + positions + velocities)``: time, qpos and qvel.

    The files are pickles inside zips. The package reads them with ``torch.load(weights_only=False)``, which runs
    whatever a pickle says; here only the parts of a numpy array are let through, and torch is not needed.
    """
    path = _root() / "init_files" / FOLDERS[task.suite] / f"{task.name}.pruned_init"
    with zipfile.ZipFile(path) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        states = np.asarray(_ArrayUnpickler(BytesIO(archive.read(member))).load(), dtype=np.float64)
    if states.ndim != 2 or len(states) != OFFICIAL_STATES:
        raise ValueError(
            f"{path} should hold {OFFICIAL_STATES} states, but holds {states.shape}; install hf-libero anew."
        )
    states.flags.writeable = False
    return states


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of that name, if an array needs it."""
        if (module, name) not in ARRAY_PARTS:
            raise pickle.UnpicklingError(f"A file of initial states asks for {module}.{name}, which no array needs.")
        return super().find_class(*ARRAY_PARTS[module, name])


def _root() -> Path:
    return Path(libero().__file__ or "").parent


def _answer_beforehand() -> None:
    """See to it that the import finds a configuration: without one it asks on standard input.

    A user's own configuration is left alone. Where there is none, the package gets one for the life of this process,
    with what it would have written itself; workers inherit the folder by the variable.
    """
    chosen = Path(os.environ.get("LIBERO_CONFIG_PATH", Path.home() / ".libero"))
    if (chosen / "config.yaml").is_file():
        return
    specification = find_spec("libero")
    locations = list(specification.submodule_search_locations or []) if specification else []
    root = Path(locations[0]) / "libero"
    paths = {
        "benchmark_root": root,
        "bddl_files": root / "bddl_files",
        "init_states": root / "init_files",
        "datasets": root.parent / "datasets",
        "assets": root / "assets",
    }
    folder = _folder_of_this_process()
    (Path(folder.name) / "config.yaml").write_text(yaml.safe_dump({key: str(path) for key, path in paths.items()}))
    os.environ["LIBERO_CONFIG_PATH"] = folder.name


@cache
def _folder_of_this_process() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="la4vla-libero-")


def _assets(package: ModuleType) -> Path:
    """Where the assets are: the user's folder, else the package's own, else what the package downloads."""
    if chosen := os.environ.get(ASSETS_VARIABLE):
        if missing := _missing(Path(chosen)):
            raise FileNotFoundError(
                f"{ASSETS_VARIABLE} is {chosen}, which has no {', '.join(missing)}: name the folder that holds "
                "LIBERO's assets."
            )
        return Path(chosen)
    found = Path(package.get_assets_path())
    if _missing(found):
        raise FileNotFoundError(
            "LIBERO's assets are neither in the package nor on a hub within reach: download the data set "
            f"lerobot/libero-assets elsewhere and set {ASSETS_VARIABLE} to its folder."
        )
    return found


def _missing(folder: Path) -> list[str]:
    return [name for name in ASSET_FOLDERS if not (folder / name).is_dir()]
