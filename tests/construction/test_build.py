"""A card builds the sets it declares: twins, splits, resuming after a kill, full disks, and clear refusals."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import webdataset

from la4vla.construct import main
from la4vla.construction.build import build, ensure_built
from la4vla.construction.card import read_card
from la4vla.data.shards import Shards

CARD = """
reader:
  class_path: la4vla.data.readers.metaworld_experts.MetaworldExperts
  init_args: {episodes: 2, frame_every: 2, tasks: [coffee-button, handle-press, door-unlock], action_noise: 0.1}
segmenter: {class_path: KinematicSegmenter}
exports:
  la: {tasks: [coffee-button, handle-press], unit: segment, frames: false}
  vla: {tasks: [coffee-button, handle-press], unit: segment, frames: true}
  heldout_la: {tasks: [door-unlock], unit: segment, frames: false}
  downstream: {tasks: [door-unlock], unit: episode, frames: true, episodes: 1}
episodes_per_shard: 2
processes: 1
"""


@pytest.fixture
def card(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(CARD)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "tiny.yaml"
    path.write_text(CARD)
    for name in ("downstream", "la"):
        ensure_built(path.with_suffix("") / name)
    return path.with_suffix("")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_an_la_set_and_its_vla_twin_differ_in_frames_alone(built):
    la, vla = Shards(built / "la"), Shards(built / "vla")
    assert la.records == vla.records and len(la) > 5
    np.testing.assert_array_equal(la.actions, vla.actions)
    np.testing.assert_array_equal(la.proprioception, vla.proprioception)
    assert la.manifest.domain.view is None and not la.cameras and not len(la.frame_steps)
    assert vla.manifest.domain.view.name == "evo1_64" and vla.cameras == ("corner2",)
    assert vla.image(0, "corner2", 0).shape == (64, 64, 3)


def test_segments_are_pieces_of_their_parents(built):
    segments, episodes = Shards(built / "heldout_la"), Shards(built / "downstream")
    parent = episodes.record(0)
    assert parent.key == "door-unlock-0000" and parent.primitive is None
    assert parent.instruction == "Unlock the door by rotating the lock counter-clockwise"
    pieces = [segments.record(i) for i in range(len(segments)) if segments.records[i].parent == parent.key]
    assert pieces
    for piece in pieces:
        np.testing.assert_array_equal(piece.actions, parent.actions[piece.start : piece.start + len(piece)])


def test_frames_show_the_steps_they_name(built):
    vla = Shards(built / "vla")
    for i in range(len(vla)):
        record = vla.record(i)
        assert len(record.images["corner2"]) == len(record.frame_steps)
        # Every second step of the episode, wherever the segment starts.
        np.testing.assert_array_equal((record.frame_steps + record.start) % 2, 0)


def test_no_held_out_task_is_in_a_pretraining_set(built):
    tasks = {name: {r.task for r in Shards(built / name).records} for name in ("la", "vla", "heldout_la", "downstream")}
    assert tasks["la"] == tasks["vla"] == {"coffee-button", "handle-press"}
    assert tasks["heldout_la"] == tasks["downstream"] == {"door-unlock"}


def test_the_manifest_counts_the_phases(built):
    manifest = Shards(built / "la").manifest
    original, candidates, kept = manifest.phases
    assert original["episodes"] == 4
    assert kept["episodes"] == sum(e.records for e in manifest.shards)
    assert kept["frames"] == sum(e.steps for e in manifest.shards)
    rejected = sum(n for reason, n in manifest.dropped.items() if reason.endswith("disagree"))
    assert candidates["episodes"] == kept["episodes"] + rejected
    assert manifest.card["reader"]["init_args"]["action_noise"] == 0.1
    assert "processes" not in manifest.card


def test_nothing_but_the_sets_is_left(built):
    sets = ["downstream", "heldout_la", "la", "vla"]
    assert sorted(p.name for p in built.iterdir() if p.is_dir()) == sets
    pictures = [f"composition_{name}.png" for name in sets[:3]]  # the twins share one
    assert sorted(p.name for p in built.iterdir() if p.is_file()) == ["README.md", *pictures]


def test_a_set_that_is_wanted_brings_those_of_its_demonstrations_and_no_others(built, card):
    folder = card.with_suffix("")
    ensure_built(folder / "heldout_la")
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["downstream", "heldout_la"]
    for name in ("downstream", "heldout_la"):
        assert contents(folder / name) == contents(built / name)


def test_a_killed_build_goes_on_and_gives_the_same_bytes(built, card):
    folder = card.with_suffix("")
    words = [sys.executable, "-m", "la4vla.construct", str(card), "processes=2"]
    run = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while not list(folder.glob(".progress/*.json")):
        assert run.poll() is None, "the build ended before it could be killed"
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    finished = {p: p.stat().st_mtime_ns for p in folder.glob("*/*.tar")}
    reported = {p.stem for p in folder.glob(".progress/*.json")}
    assert not list(folder.glob("*/manifest.json"))
    build(read_card([str(card)]))
    assert contents(folder) == contents(built)
    kept = [p for p, written in finished.items() if p.stem in reported and p.stat().st_mtime_ns == written]
    assert kept, "finished groups must not be built again"


def test_a_full_disk_leaves_no_half_set_and_the_next_run_goes_on(built, card, monkeypatch):
    folder = card.with_suffix("")
    write, calls = webdataset.TarWriter.write, []

    def full(self, sample):
        calls.append(sample["__key__"])
        if len(calls) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, sample)

    monkeypatch.setattr(webdataset.TarWriter, "write", full)
    with pytest.raises(OSError, match="disk filled up"):
        build(read_card([str(card)]))
    assert not list(folder.glob("*/manifest.json")) and not list(folder.glob("*/.*.part"))
    assert all(p.read_bytes() == (built / p.relative_to(folder)).read_bytes() for p in folder.glob("*/*.tar"))
    monkeypatch.undo()
    build(read_card([str(card)]))
    assert contents(folder) == contents(built)


def test_a_finished_set_needs_no_card_and_a_removed_one_is_built_again_the_same(built, card, capsys):
    folder = card.with_suffix("")
    shutil.copytree(built, folder)
    shutil.rmtree(folder / "downstream")
    main([str(card)])
    output = capsys.readouterr().out
    assert "original episodes" in output and "consistent segments" in output
    assert contents(folder) == contents(built)
    card.unlink()
    ensure_built(folder / "vla")


def test_a_set_that_was_removed_from_a_stopped_build_is_built_again(moving_card, monkeypatch):
    folder = moving_card.with_suffix("")
    words = [str(moving_card), "reader.init_args.episodes=8", "processes=1"]
    build(read_card(words))
    whole = contents(folder)
    shutil.rmtree(folder)

    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("la4vla.construction.build.finish_set", full)
    with pytest.raises(OSError, match="No space left"):
        build(read_card(words))
    monkeypatch.undo()
    first = min((folder / ".progress").glob("*.json"))
    shutil.rmtree(folder / "vla")
    build(read_card(words))
    assert contents(folder) == whole and not first.exists()


def test_of_two_builds_at_once_one_waits(built, card):
    folder = card.with_suffix("")
    shutil.copytree(built, folder)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    second = threading.Thread(target=build, args=(read_card([str(card)]),), daemon=True)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    os.close(descriptor)
    second.join(30)
    assert not second.is_alive()


def test_what_cannot_be_built_is_refused_in_a_sentence(built, card):
    with pytest.raises(FileNotFoundError, match=r"no card .*nothing\.yaml"):
        ensure_built(card.parent / "nothing" / "la")
    with pytest.raises(ValueError, match="no export 'lo'; its exports are la, vla"):
        ensure_built(card.with_suffix("") / "lo")
    with pytest.raises(ValueError, match=r"another declaration \(reader.init_args.frame_every: 2 there, 1 now"):
        build(read_card([str(card), "reader.init_args.frame_every=1", f"folder={built}"]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("reader.init_args.episode=2", "episode"),
        ("reader.init_args.view=evo2", "no view 'evo2'"),
        ("jpeg_quality=0", "jpeg_quality must lie in 1..100"),
        ("episodes_per_shard=0", "must be at least 1"),
        ("segmenter=null", "no segmenter"),
        ("exports.la.unit=steps", "unit"),
        ("exports.la.tasks=[assembly]", "do not include assembly"),
    ],
)
def test_bad_cards_are_refused_in_a_sentence(card, change, sentence, capsys):
    with pytest.raises((ValueError, SystemExit)) as caught:
        read_card([str(card), change])
    assert sentence in str(caught.value) + capsys.readouterr().err


def test_a_missing_card_is_refused():
    with pytest.raises(ValueError, match="Name the card"):
        read_card(["processes=1"])
    with pytest.raises(FileNotFoundError, match=r"no card nowhere\.yaml"):
        read_card(["nowhere.yaml"])


def test_the_published_cards_parse_and_finetuning_has_the_tasks_that_no_pretraining_sees():
    declaration, downstream = read_card(["shards/metaworld.yaml"]), read_card(["shards/metaworld_downstream.yaml"])
    assert set(declaration.card.exports) == {"la", "vla", "heldout_la"}
    assert declaration.folder == Path("shards/metaworld")
    pretraining = {task for task, _ in declaration.card.reader.keys(declaration.card.exports["la"].tasks)}
    held_out = {task for task, _ in downstream.card.reader.keys(downstream.card.exports["episodes"].tasks)}
    assert held_out == {task for task, _ in declaration.card.reader.keys(declaration.card.exports["heldout_la"].tasks)}
    assert len(pretraining) == 40 and len(held_out) == 10 and not pretraining & held_out
