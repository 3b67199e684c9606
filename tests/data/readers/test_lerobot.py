"""LeRobot data sets read frame-exact in both layouts; a bad episode is told from a bad data set."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from la4vla import construct
from la4vla.data.readers.lerobot import LeRobotReader
from la4vla.data.shards import Shards
from la4vla.data.unusable import UnusableEpisode
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import Shot

VERSIONS = ("v2.1", "v3.0")
OPEN = {"gripper_open": 1.0, "gripper_closed": 0.0, "size_px": 32}


def read_all(reader, frames=True):
    """Every episode by number, and the sentence on every one that cannot be used."""
    good, bad = {}, {}
    for key in reader.keys():
        try:
            episode = reader.read(key, frames, Counter())
            for clip in episode.frames.values():
                list(clip)
            good[key[1]] = episode
        except UnusableEpisode as unusable:
            bad[key[1]] = str(unusable)
    return good, bad


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_written_is_read(lerobot, shown, version):
    folder, demos = lerobot(version)
    reader = pickle.loads(pickle.dumps(LeRobotReader(str(folder), **OPEN)))
    assert reader.keys() == [("press-the-button", 0), ("öffne-die-schublade", 1), ("press-the-button", 2)]
    for key, demo in zip(reader.keys(), demos, strict=True):
        episode = reader.read(key, True, Counter())
        np.testing.assert_array_equal(episode.proprioception, demo.columns["observation.state"])
        np.testing.assert_array_equal(episode.actions, demo.columns["action"])
        assert episode.instruction == demo.task and episode.task == key[0]
        assert episode.key == f"tiny-{version.replace('.', '-')}-{key[1]:06d}"
        assert set(episode.frames) == {"front", "wrist"}
        for camera, clip in episode.frames.items():
            assert [shown(image) for image in clip] == list(range(len(demo))) == episode.frame_steps.tolist()
            assert clip[0].shape == (32, 32, 3)
            # squashed to half its width, and the green of the background tells the camera
            assert abs(int(clip[0][1, 1, 1]) - int(demo.pictures[camera][0][1, 1, 1])) < 8


@pytest.mark.parametrize("version", VERSIONS)
def test_frames_are_kept_every_so_many_steps(lerobot, shown, version):
    folder, _ = lerobot(version)
    reader = LeRobotReader(str(folder), frame_every=3, **OPEN)
    episode = reader.read(reader.keys()[2], True, Counter())
    assert [shown(image) for image in episode.frames["front"]] == episode.frame_steps.tolist() == [0, 3, 6]
    blind = reader.read(reader.keys()[2], False, Counter())
    assert not blind.frames and not len(blind.frame_steps)
    np.testing.assert_array_equal(blind.actions, episode.actions)


def test_without_frames_no_video_is_needed(lerobot):
    folder, _ = lerobot()
    for path in folder.rglob("*.mp4"):
        path.unlink()
    good, bad = read_all(LeRobotReader(str(folder), **OPEN), frames=False)
    assert len(good) == 3 and not bad


def test_the_body_is_derived_from_names(lerobot):
    body = LeRobotReader(str(lerobot("v3.0")[0]), **OPEN).embodiment
    assert body.name == "tiny_arm" and body.control_hz == 15 and body.cameras == ("front", "wrist")
    assert (body.position, body.translation, body.gripper) == ((0, 1, 2), (0, 1, 2), 6)
    assert (body.gripper_open, body.gripper_closed, body.gripper_action) == (1.0, 0.0, 6)
    assert (body.orientation, body.orientation_form, body.action_form) == ((3, 4, 5), "euler_xyz", "increment")
    assert body.forward is body.left is body.up is body.gripper_action_open is None


def test_a_robot_without_gripper_is_no_problem(lerobot):
    folder, _ = lerobot(columns={"observation.state": ("eef_x_m", "eef_y_m", "eef_z_m"), "action": ("dx", "dy", "dz")})
    reader = LeRobotReader(str(folder), size_px=16)
    assert reader.embodiment.gripper is None
    assert len(read_all(reader)[0]) == 3


def test_a_card_states_body_columns_and_cameras(lerobot, shown):
    folder, demos = lerobot(columns={"pose": ("a", "b", "c"), "grip": ("g",), "go": ("d", "e", "f", "h")})
    body = Embodiment(
        "mine", ("x_m", "y_m", "z_m", "gap_m"), ("dx_m", "dy_m", "dz_m", "gap_m"), ("eye",), 15.0, gripper=3
    )
    cameras = {"eye": "observation.images.wrist"}
    reader = LeRobotReader(str(folder), ["pose", "grip"], ["go"], cameras, body, size_px=16)
    episode = reader.read(reader.keys()[1], True, Counter())
    np.testing.assert_array_equal(episode.proprioception[:, 3:], demos[1].columns["grip"])
    assert [shown(image) for image in episode.frames["eye"]] == list(range(5))
    assert reader.view.name == "mine_16" and reader.view.shots == (Shot("eye", 16),)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"actions": ["actoin"]}, "no column of numbers 'actoin'; it has observation.state, action, timestamp"),
        ({"cameras": {"eye": "observation.images.eye"}}, "Camera eye wants the video"),
        (
            {
                "embodiment": Embodiment("b", tuple("abcdefg"), tuple("abcdefg"), ("eye",), 15.0),
                "cameras": {"front": "observation.images.front"},
            },
            "not those of embodiment b",
        ),
        ({"size_px": 0}, "at least 1"),
        (
            {"embodiment": Embodiment("b", tuple("abcdefg"), tuple("abcdefg"), ("front",), 30.0)},
            "runs at 15 Hz, embodiment b at 30 Hz",
        ),
        (
            {"embodiment": Embodiment("b", tuple("abc"), tuple("abcdefg"), ("front",), 15.0)},
            "have 7 dimensions, the proprioception of embodiment b 3",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(lerobot, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        LeRobotReader(str(lerobot()[0]), **{**OPEN, **settings})


def test_a_selection_of_tasks(lerobot):
    reader = LeRobotReader(str(lerobot()[0]), **OPEN)
    assert reader.keys(["Press the button"]) == [("press-the-button", 0), ("press-the-button", 2)]
    assert reader.keys("all", 1) == [("press-the-button", 0), ("öffne-die-schublade", 1)]
    with pytest.raises(ValueError, match="Did you mean 'press-the-button'"):
        reader.keys(["press-the-buton"])


def test_no_data_set_an_empty_one_and_an_unknown_version(lerobot, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no meta/info\.json\. Download it first"):
        LeRobotReader(str(tmp_path / "nowhere"))
    folder, _ = lerobot()
    told = json.loads((folder / "meta/info.json").read_text())
    (folder / "meta/episodes.jsonl").write_text("")
    with pytest.raises(ValueError, match="is empty: it lists no episode"):
        LeRobotReader(str(folder), **OPEN)
    for change, sentence in (({"total_episodes": 0}, "counts no episode"), ({"codebase_version": "v9"}, "version v9")):
        (folder / "meta/info.json").write_text(json.dumps(told | change))
        with pytest.raises(ValueError, match=sentence):
            LeRobotReader(str(folder), **OPEN)


def test_a_broken_line_of_metadata_is_named(lerobot):
    folder, _ = lerobot()
    (folder / "meta/episodes.jsonl").write_text('{"episode_index": 0}\n{"episode')
    with pytest.raises((ValueError, KeyError), match=r"episodes\.jsonl, line 2, is no JSON|tasks"):
        LeRobotReader(str(folder), **OPEN)


def damage(path, begin: int = 4, end: int = 200) -> None:
    """Overwrite the first pages of a parquet file; its footer stays."""
    content = path.read_bytes()
    path.write_bytes(content[:begin] + b"\xff" * (end - begin) + content[end:])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_data_set_that_lists_fewer_episodes_than_it_counts_is_not_whole(lerobot, version):
    folder, _ = lerobot(version)
    if version == "v2.1":
        lines = (folder / "meta/episodes.jsonl").read_text().splitlines()
        (folder / "meta/episodes.jsonl").write_text("\n".join(lines[:2]))
    else:
        path = folder / "meta/episodes/chunk-000/file-000.parquet"
        pq.write_table(pq.read_table(path).slice(0, 2), path)
    with pytest.raises(ValueError, match=r"lists 2 episodes, its info\.json counts 3; download"):
        LeRobotReader(str(folder), **OPEN)


def test_metadata_that_lacks_something_says_what(lerobot):
    folder, _ = lerobot("v3.0")
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    episodes = pq.read_table(path)
    pq.write_table(episodes.drop_columns(["data/file_index"]), path)
    with pytest.raises(ValueError, match=r"meta folder of .* lacks 'data/file_index' somewhere"):
        LeRobotReader(str(folder), **OPEN)
    pq.write_table(episodes, path)
    damage(folder / "meta/tasks.parquet", end=60)
    with pytest.raises(ValueError, match=r"tasks\.parquet is no parquet file \(.*\)\. Download the data set again\.$"):
        LeRobotReader(str(folder), **OPEN)


def test_rows_that_do_not_fit_the_metadata_leave_one_episode_out(lerobot):
    folder, _ = lerobot(lengths=[6] * 3)
    path = folder / "data/chunk-000/episode_000001.parquet"
    whole = pq.read_table(path)

    def told(**columns) -> str:
        changed = whole
        for name, values in columns.items():
            changed = changed.set_column(changed.column_names.index(name), name, pa.array(values))
        pq.write_table(changed, path)
        good, bad = read_all(LeRobotReader(str(folder), **OPEN), frames=False)
        assert set(good) == {0, 2} and "\n" not in bad[1]
        return bad[1]

    six = [row[:6] for row in whole["observation.state"].to_pylist()]
    fault = told(**{"observation.state": six})
    assert "(other dimensions): observation.state has 6 numbers a step, meta says 7." in fault
    assert "(broken data): action holds list<" in told(action=[["open"] * 7] * 6)
    assert "(broken data): timestamp holds list<" in told(timestamp=[[step / 15] for step in range(6)])
    pq.write_table(whole, path)
    damage(path)
    good, bad = read_all(LeRobotReader(str(folder), **OPEN), frames=False)
    assert set(good) == {0, 2} and "(broken data): " in bad[1] and "\n" not in bad[1]


def test_each_bad_episode_is_told_and_the_rest_goes_on(lerobot, refilm):
    folder, _ = lerobot(lengths=[6] * 3)
    video = folder / "videos/chunk-000/observation.images.wrist"
    rows = folder / "data/chunk-000"

    def expect(number: int, sentence: str):
        good, bad = read_all(LeRobotReader(str(folder), **OPEN))
        assert set(bad) == {number} and len(good) == 2, bad
        assert bad[number].startswith(f"Episode tiny-v2-1-{number:06d} is left out (") and sentence in bad[number]

    def table(number: int, **columns):
        path = rows / f"episode_{number:06d}.parquet"
        now = pq.read_table(path)
        for name, values in columns.items():
            at = now.column_names.index(name)
            now = now.remove_column(at) if values is None else now.set_column(at, name, pa.array(values))
        pq.write_table(now, path)

    files = {path: path.read_bytes() for path in [*video.glob("*"), *rows.glob("*"), *(folder / "meta").glob("*")]}

    def restore():
        for path, content in files.items():
            path.write_bytes(content)

    (video / "episode_000001.mp4").unlink()
    expect(1, "(missing video): camera wrist: there is no file")
    restore()
    refilm(video / "episode_000002.mp4", 4, 15)
    expect(2, "(too few frames): camera wrist: the video has 4 pictures for 6 states.")
    refilm(video / "episode_000002.mp4", 12, 30)
    expect(2, "(wrong fps): camera wrist: the video runs at 30 Hz, meta says 15 Hz.")
    (video / "episode_000002.mp4").write_bytes(files[video / "episode_000002.mp4"][:700])
    expect(2, "(broken video): camera wrist:")
    restore()
    table(0, timestamp=np.arange(6, dtype=np.float32) / 30)
    expect(0, "(wrong fps): step 1 has the time stamp 0.0333 s, at 15 Hz it is 0.0667 s.")
    restore()
    state = pq.read_table(rows / "episode_000001.parquet")["observation.state"].to_pylist()
    state[2][4] = float("nan")
    table(1, **{"observation.state": state})
    expect(1, "(not finite): observation.state is nan at step 2, dimension 4.")
    restore()
    table(1, **{"observation.state": None})
    expect(1, "(missing column):")
    restore()
    pq.write_table(pq.read_table(rows / "episode_000001.parquet").slice(0, 4), rows / "episode_000001.parquet")
    expect(1, "(missing rows):")
    (rows / "episode_000001.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    expect(1, "(broken data):")
    (rows / "episode_000001.parquet").unlink()
    expect(1, "(missing data):")
    restore()
    table(2, task_index=[0, 0, 0, 1, 1, 1])
    expect(2, "(several tasks): its rows name the tasks [0, 1]")
    restore()
    tasks = folder / "meta/tasks.jsonl"
    tasks.write_bytes(tasks.read_bytes().replace("Öffne".encode(), "Öffne".encode("latin-1")))
    expect(1, r"(instruction not UTF-8): its instruction b'\xd6ffne die Schublade' is not UTF-8.")
    restore()
    assert not read_all(LeRobotReader(str(folder), **OPEN))[1]


def test_bad_episodes_of_version_3_leave_those_in_the_same_file_alone(lerobot, refilm):
    folder, _ = lerobot("v3.0")
    refilm(folder / "videos/observation.images.front/chunk-000/file-000.mp4", 9, 15)
    tasks = pq.read_table(folder / "meta/tasks.parquet")
    names = pa.array([b"\xff\xfe", "Öffne die Schublade".encode()], pa.large_binary()).view(pa.large_string())
    pq.write_table(tasks.set_column(1, "__index_level_0__", names), folder / "meta/tasks.parquet")
    good, bad = read_all(LeRobotReader(str(folder), **OPEN))
    assert not good and "not UTF-8" in bad[0] and "not UTF-8" in bad[2]
    assert "has 2 pictures for 5 states" in bad[1]
    pq.write_table(tasks, folder / "meta/tasks.parquet")
    (folder / "meta/info.json").touch()  # so that a process that has read it looks again
    good, bad = read_all(LeRobotReader(str(folder), **OPEN))
    assert set(good) == {0, 2} and set(bad) == {1}


def test_a_build_lists_what_it_leaves_out_and_goes_on(lerobot, tmp_path, capsys):
    folder, demos = lerobot(lengths=[6] * 3)
    (folder / "videos/chunk-000/observation.images.wrist/episode_000001.mp4").unlink()
    card = tmp_path / "small.yaml"
    card.write_text(
        "reader: {class_path: la4vla.data.readers.lerobot.LeRobotReader, init_args: "
        f"{{root: {folder}, gripper_open: 1.0, gripper_closed: 0.0, size_px: 32}}}}\n"
        "exports: {whole: {unit: episode, frames: true}, blind: {unit: episode, frames: false}}\nprocesses: 1\n"
    )
    construct.main([str(card)])
    whole = Shards(tmp_path / "small/whole")
    assert [record.key[-6:] for record in whole.records] == ["000000", "000002"]
    np.testing.assert_array_equal(whole.record(1).actions, demos[2].columns["action"])
    (sentence,) = whole.manifest.unusable
    assert sentence.startswith("Episode tiny-v2-1-000001 is left out (missing video): camera wrist")
    assert whole.manifest.dropped == {"missing video": 1}
    assert sentence in capsys.readouterr().out.replace("\n", "")
