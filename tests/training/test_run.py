"""A run's folder: its state, its provenance, and what happens when the recipe changes under it."""

import json
import subprocess
import sys

import pytest

from la4vla.training.run import Run, flatten

CONFIG = {"model": {"learning_rate": 1e-3}, "data": {"sources": {"la": {"vision": "masked"}}}, "seed_everything": 0}


def test_a_run_goes_from_new_to_unfinished_to_finished(tmp_path):
    run = Run(tmp_path / "la", CONFIG)
    assert run.state() == "new"
    run.begin({"name": "la", "effective_batch": 64})
    assert run.state() == "unfinished"
    run.finish({"steps": 10})
    assert run.state() == "finished"
    provenance = json.loads((tmp_path / "la" / "provenance.json").read_text())
    assert provenance["effective_batch"] == 64
    assert provenance["results"] == {"steps": 10}
    assert {"git", "versions", "started", "finished", "config_hash"} <= provenance.keys()


def test_starting_again_keeps_the_first_start(tmp_path):
    run = Run(tmp_path / "la", CONFIG)
    run.begin({})
    first = run.provenance()["started"]
    run.begin({"more": 1})
    assert run.provenance()["started"] == first


def test_another_configuration_in_the_same_folder_is_refused_with_what_differs(tmp_path):
    Run(tmp_path / "la", CONFIG).begin({})
    other = {**CONFIG, "model": {"learning_rate": 5e-4}}
    with pytest.raises(ValueError, match=r"model.learning_rate: 0.001 there, 0.0005 here.*name="):
        Run(tmp_path / "la", other).state()


def test_a_run_made_from_something_else_is_refused(tmp_path):
    run = Run(tmp_path / "la_vla", {"seed": 1})
    run.begin({"made_from": {"after": "a" * 16, "data.sources.vla": "b" * 64}})
    run.finish({})
    assert run.state({"after": "a" * 16, "data.sources.vla": "b" * 64, "new": "c"}) == "finished"
    with pytest.raises(ValueError, match=r"made from another data.sources.vla \(hash bbbbbbbbbbbb there, cccccccccccc"):
        run.state({"after": "a" * 16, "data.sources.vla": "c" * 64})


def test_a_second_fit_waits_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "la"
    take = f"from pathlib import Path; from la4vla.training.run import Run; Run(Path({str(folder)!r}), {{}}).take(); "
    first = subprocess.Popen(
        [sys.executable, "-c", take + "print('taken', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout.readline() == "taken\n"
    second = subprocess.Popen(
        [sys.executable, "-c", take + "print('taken')"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr.readline() == f"Another fit works in {folder}; waiting for it to end.\n"
    assert second.poll() is None
    first.kill()
    first.communicate()
    assert second.communicate() == ("taken\n", "") and second.returncode == 0


def test_a_process_may_take_its_folder_twice(tmp_path):
    Run(tmp_path / "la", CONFIG).take()
    Run(tmp_path / "la", CONFIG).take()


def test_no_partial_file_is_left(tmp_path):
    run = Run(tmp_path / "la", CONFIG)
    run.begin({})
    assert sorted(p.name for p in run.folder.iterdir()) == ["config.yaml", "provenance.json"]


def test_flatten_names_leaves_by_dotted_key():
    assert flatten({"a": {"b": [1, {"c": 2}]}, "d": None}) == {"a.b.0": 1, "a.b.1.c": 2, "d": None}
