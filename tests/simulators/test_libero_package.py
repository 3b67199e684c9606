"""The package is imported without a question and without arbitrary pickles; what is missing is said in a sentence."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from la4vla.simulators import libero_package
from la4vla.simulators.libero_package import ASSET_FOLDERS, official_states, scene_file, things_in
from la4vla.simulators.libero_tasks import PROTOCOLS, SELECTIONS, TASKS, select_tasks

pytestmark = pytest.mark.skipif(find_spec("libero") is None, reason="needs the extra libero")
SOUP = TASKS["pick_up_the_alphabet_soup_and_place_it_in_the_basket"]


def ask(script: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a home without any configuration, with nobody to answer."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIBERO", "LA4VLA"))}
    source = str(Path(__file__).parents[2] / "src")
    environment = {**kept, "HOME": str(home), "PYTHONPATH": source, "HF_HUB_OFFLINE": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )


@pytest.mark.libero
def test_tasks_and_instructions_are_those_of_the_package():
    libero_package.libero()
    from libero.libero.benchmark import grab_language_from_filename
    from libero.libero.benchmark.libero_suite_task_map import libero_task_map

    for suite, folder in libero_package.FOLDERS.items():
        assert list(SELECTIONS[suite]) == libero_task_map[folder]
        assert all(scene_file(TASKS[name]).is_file() for name in SELECTIONS[suite])
    assert all(task.instruction == grab_language_from_filename(f"{name}.bddl") for name, task in TASKS.items())
    assert len(TASKS) == 40


def test_step_limits_of_both_protocols():
    limits = {name: tuple(protocol.max_steps.values()) for name, protocol in PROTOCOLS.items()}
    assert limits == {"standard": (220, 280, 300, 520), "evo1": (350, 350, 350, 990)}
    assert all(tuple(protocol.max_steps) == ("spatial", "object", "goal", "long") for protocol in PROTOCOLS.values())


def test_selections_and_slugs_mix_and_typos_are_answered():
    assert select_tasks(["goal", SOUP.name, SOUP.name]) == (*SELECTIONS["goal"], SOUP.name)
    with pytest.raises(ValueError, match="Did you mean 'object'"):
        select_tasks("objects")


def test_nothing_is_asked_and_nothing_is_left_in_the_home(tmp_path):
    (tmp_path / "assets").mkdir()
    for name in ASSET_FOLDERS:
        (tmp_path / "assets" / name).mkdir()
    script = "from la4vla.simulators.libero_package import libero; print(libero().get_assets_path())"
    told = ask(script, tmp_path, LA4VLA_LIBERO_ASSETS=str(tmp_path / "assets"))
    assert told.stdout.strip() == str(tmp_path / "assets"), told.stderr
    assert not (tmp_path / ".libero").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"LA4VLA_LIBERO_ASSETS": "/nowhere"}, "LA4VLA_LIBERO_ASSETS is /nowhere, which has no articulated_objects"),
        ({}, "neither in the package nor on a hub within reach"),
    ],
)
def test_missing_assets_are_one_sentence(tmp_path, variables, sentence):
    told = ask("from la4vla.simulators.libero_package import libero; libero()", tmp_path, **variables)
    assert told.returncode == 1
    assert "FileNotFoundError" in told.stderr.splitlines()[-1] and sentence in told.stderr.splitlines()[-1]


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(libero_package, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install la4vla\[libero\]"):
        libero_package.libero.__wrapped__()


@pytest.mark.libero
def test_official_states_are_fifty_different_ones():
    states = official_states(SOUP)
    assert states.shape == (50, 110) and not states.flags.writeable
    assert len({state.tobytes() for state in states}) == 50


def test_a_file_of_states_can_run_nothing(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "done"),)

    folder = tmp_path / "init_files" / "libero_object"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / f"{SOUP.name}.pruned_init", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"states": np.zeros((50, 2)), "evil": Evil()}))
    monkeypatch.setattr(libero_package, "_root", lambda: tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        official_states.__wrapped__(SOUP)
    assert not (tmp_path / "done").exists()


@pytest.mark.libero
def test_things_of_a_scene():
    assert {"alphabet_soup", "basket", "milk"} <= things_in(SOUP)
