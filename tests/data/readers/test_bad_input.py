"""Bad data through ``construct``: one sentence each; a bad episode is listed, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla.cli import run_verb
from la4vla.construct import main
from la4vla.data.shards import Shards

FOLDERS = ("data/chunk-000", "videos/chunk-000/observation.images.wrist", "meta")
COLUMNS = {"pose": ("x", "y", "z"), "grip": ("gripper",), "action": ("dx", "dy", "dz", "gripper")}


def rows(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = folder / "data/chunk-000/episode_000001.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def column(name: str, values) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values))


def nan(folder: Path, refilm) -> None:
    def change(table):
        numbers = table["pose"].to_pylist()
        numbers[3][1] = float("nan")
        return column("pose", numbers)(table)

    rows(folder, change)


def no_gripper(folder: Path, refilm) -> None:
    rows(folder, lambda table: table.drop_columns(["grip"]))


def wrong_fps(folder: Path, refilm) -> None:
    rows(folder, column("timestamp", np.arange(6, dtype=np.float32) / 30))


def few_frames(folder: Path, refilm) -> None:
    refilm(folder / FOLDERS[1] / "episode_000001.mp4", 4, 15)


def no_video(folder: Path, refilm) -> None:
    (folder / FOLDERS[1] / "episode_000001.mp4").unlink()


def latin_instruction(folder: Path, refilm) -> None:
    for name in ("tasks", "episodes"):
        path = folder / f"meta/{name}.jsonl"
        path.write_bytes(path.read_bytes().replace("Öffne".encode(), "Öffne".encode("latin-1")))


FAULTS = {
    nan: ("not finite", "pose is nan at step 3, dimension 1."),
    no_gripper: ("missing column", "grip"),
    wrong_fps: ("wrong fps", "step 1 has the time stamp 0.0333 s, at 15 Hz it is 0.0667 s."),
    few_frames: ("too few frames", "camera wrist: the video has 4 pictures for 6 states."),
    no_video: ("missing video", "camera wrist: there is no file"),
    latin_instruction: ("instruction not UTF-8", r"its instruction b'\xd6ffne die Schublade' is not UTF-8."),
}


@pytest.fixture
def card(lerobot, tmp_path) -> Path:
    folder, _ = lerobot(lengths=[6] * 3, columns=COLUMNS)
    path = tmp_path / "small.yaml"
    path.write_text(
        "reader: {class_path: la4vla.data.readers.lerobot.LeRobotReader, init_args: "
        f"{{root: {folder}, proprioception: [pose, grip], gripper_open: 1.0, gripper_closed: 0.0, size_px: 32}}}}\n"
        "exports: {whole: {unit: episode, frames: true}}\nprocesses: 1\n"
    )
    return path


def test_each_bad_episode_is_listed_in_a_sentence_and_the_rest_goes_on(card, tmp_path, refilm, capsys):
    folder = tmp_path / "tiny_v2_1"
    files = {path: path.read_bytes() for name in FOLDERS for path in (folder / name).iterdir()}
    for damage, (reason, sentence) in FAULTS.items():
        damage(folder, refilm)
        (folder / "meta/info.json").touch()  # so that a process that has read it looks again
        built = tmp_path / damage.__name__
        main([str(card), f"folder={built}"])
        whole = Shards(built / "whole")
        assert [record.key[-6:] for record in whole.records] == ["000000", "000002"], damage
        (told,) = whole.manifest.unusable
        assert told.startswith(f"Episode tiny-v2-1-000001 is left out ({reason}): ") and sentence in told
        assert whole.manifest.dropped == {reason: 1}
        assert told.replace(" ", "") in capsys.readouterr().out.replace("\n", "").replace(" ", "")
        text = (built / "README.md").read_text()
        assert f"| {reason} | 1 |" in text and told in text
        for path, content in files.items():
            path.write_bytes(content)


def test_an_empty_data_set_stops_the_verb_with_a_sentence(card, tmp_path):
    (tmp_path / "tiny_v2_1/meta/episodes.jsonl").write_text("")
    with pytest.raises(SystemExit) as ended:
        run_verb(lambda: main([str(card)]))
    assert "is empty: it lists no episode" in str(ended.value.code)
    assert not (tmp_path / "small/whole").exists()


def test_a_robot_without_gripper_is_no_fault(lerobot, tmp_path, capsys):
    folder, _ = lerobot(columns={"observation.state": ("x", "y", "z"), "action": ("dx", "dy", "dz")})
    card = tmp_path / "small.yaml"
    card.write_text(
        "reader: {class_path: la4vla.data.readers.lerobot.LeRobotReader, init_args: "
        f"{{root: {folder}, size_px: 32}}}}\nexports: {{whole: {{unit: episode, frames: true}}}}\nprocesses: 1\n"
    )
    main([str(card)])
    whole = Shards(tmp_path / "small/whole")
    assert len(whole) == 3 and whole.manifest.domain.embodiment.gripper is None
