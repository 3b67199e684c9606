"""robomimic's and LIBERO's files: the action that followed each observation, pictures the right way up."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace

import h5py
import numpy as np
import pytest

from la4vla.data.readers.libero_hdf5 import LiberoHdf5Reader
from la4vla.data.readers.robomimic_hdf5 import ROBOSUITE_PANDA, RobomimicHdf5Reader
from la4vla.data.unusable import UnusableEpisode
from la4vla.simulators.libero_body import LIBERO

LENGTHS = {"demo_0": 6, "demo_10": 4, "demo_2": 5}
LIBERO_OBS = {"ee_pos": 3, "ee_ori": 3, "gripper_states": 2}
ROBOMIMIC_OBS = {"robot0_eef_pos": 3, "robot0_eef_quat": 4, "robot0_gripper_qpos": 2}
LIBERO_FILE = "KITCHEN_SCENE1_open_the_drawer_demo.hdf5"


def write(path, drawn, obs, pictures, side=32, **attributes):
    """One file; row ``t`` of every array holds the number ``t``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for name, value in attributes.items():
            data.attrs[name] = value
        for demo, length in LENGTHS.items():
            group = data.create_group(demo)
            group["actions"] = np.tile(np.arange(length, dtype=np.float64)[:, None], (1, 7))
            for name, width in obs.items():
                group[f"obs/{name}"] = np.tile(np.arange(length, dtype=np.float64)[:, None], (1, width))
            for camera, name in enumerate(pictures):
                images = [drawn(t, camera, side, side) for t in range(length)]
                group[f"obs/{name}"] = np.stack(images)
    return path


@pytest.fixture
def libero(tmp_path, drawn):
    told = json.dumps({"language_instruction": '"open the drawer"'})
    path = tmp_path / "libero_goal" / LIBERO_FILE
    return write(path, drawn, LIBERO_OBS, ("agentview_rgb", "eye_in_hand_rgb"), problem_info=told)


@pytest.fixture
def robomimic(tmp_path, drawn):
    return write(tmp_path / "lift.hdf5", drawn, ROBOMIMIC_OBS, ("agentview_image", "robot0_eye_in_hand_image"))


def test_libero_pairs_each_action_with_the_observation_before_it(libero, shown):
    reader = pickle.loads(pickle.dumps(LiberoHdf5Reader(str(libero.parent))))
    task = "kitchen-scene1-open-the-drawer"
    assert reader.keys() == [(task, 0), (task, 2), (task, 10)]
    episode = reader.read((task, 2), True, Counter())
    assert episode.instruction == "open the drawer" and episode.key == f"{task}-0002" and episode.embodiment == LIBERO
    assert episode.proprioception[:, 0].tolist() == [0, 1, 2, 3] and episode.actions[:, 0].tolist() == [1, 2, 3, 4]
    assert episode.proprioception.shape == (4, 8) and episode.actions.dtype == np.float32
    turned = episode.frames["wrist"]
    assert [shown(picture[::-1, ::-1]) for picture in turned] == [0, 1, 2, 3] == episode.frame_steps.tolist()
    assert shown(turned[2][::-1, ::-1]) == 2 and len(turned[1:3]) == 2
    assert reader.view.shots[0].rotate_deg == 180 and reader.view.name == "libero_32"
    assert LiberoHdf5Reader(str(libero), size_px=16).view.name == "libero_32_to_16"


def test_robomimic_observes_before_it_acts(robomimic, shown):
    reader = RobomimicHdf5Reader(str(robomimic), "lift the cube", size_px=16, frame_every=2)
    episode = reader.read(("lift", 0), True, Counter())
    assert episode.proprioception[:, 0].tolist() == episode.actions[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert [shown(picture) for picture in episode.frames["agentview"]] == [0, 2, 4] == episode.frame_steps.tolist()
    assert episode.frames["agentview"][0].shape == (16, 16, 3)
    with pytest.raises(ValueError, match="holds no instruction: give instruction="):
        RobomimicHdf5Reader(str(robomimic)).read(("lift", 0), False, Counter())


def test_files_of_one_name_are_called_after_their_folders_too(tmp_path, drawn):
    for people in ("mh", "ph"):
        write(tmp_path / "lift" / people / "low_dim_v15.hdf5", drawn, ROBOMIMIC_OBS, ())
    reader = RobomimicHdf5Reader(str(tmp_path / "lift"), "lift the cube", cameras={})
    assert [task for task, number in reader.keys() if number == 0] == ["mh-low-dim-v15", "ph-low-dim-v15"]
    write(tmp_path / "lift" / "mh" / "low-dim-v15.hdf5", drawn, ROBOMIMIC_OBS, ())
    with pytest.raises(ValueError, match=r"would both be the task mh-low-dim-v15; rename one"):
        RobomimicHdf5Reader(str(tmp_path / "lift"), "lift the cube", cameras={})


def test_cameras_of_several_sizes_want_one_size(tmp_path, drawn):
    path = write(tmp_path / "lift.hdf5", drawn, ROBOMIMIC_OBS, ("agentview_image",))
    with h5py.File(path, "a") as file:
        for demo, length in LENGTHS.items():
            pictures = np.stack([drawn(t, 1, 48, 48) for t in range(length)])
            file[f"data/{demo}/obs/robot0_eye_in_hand_image"] = pictures
    with pytest.raises(ValueError, match=r"differ in size \(agentview 32 px, wrist 48 px\); give size_px"):
        RobomimicHdf5Reader(str(path), "lift the cube")
    reader = RobomimicHdf5Reader(str(path), "lift the cube", size_px=32)
    assert [shot.render_px for shot in reader.view.shots] == [32, 32]
    episode = reader.read(("lift", 0), True, Counter())
    assert episode.frames["agentview"][0].shape == episode.frames["wrist"][0].shape == (32, 32, 3)


def test_a_damaged_chunk_leaves_one_demonstration_out(robomimic):
    def damage(name: str) -> None:
        with h5py.File(robomimic, "a") as file:
            old = file[name][()]
            del file[name]
            stored = file.create_dataset(name, data=old, chunks=(1, *old.shape[1:]), fletcher32=True)
            chunk = stored.id.get_chunk_info(2)
        with open(robomimic, "r+b") as raw:
            raw.seek(chunk.byte_offset)
            raw.write(b"\xaa" * 8)

    def told(number: int) -> str:
        reader = RobomimicHdf5Reader(str(robomimic), "lift the cube")
        with pytest.raises(UnusableEpisode) as left_out:
            list(reader.read(("lift", number), True, Counter()).frames["agentview"])
        assert len(list(reader.read(("lift", 10), True, Counter()).frames["agentview"])) == 4
        return str(left_out.value)

    damage("data/demo_0/obs/robot0_eef_pos")
    damage("data/demo_2/obs/agentview_image")
    assert "lift-0000 is left out (broken data): obs/robot0_eef_pos cannot be read as numbers (" in told(0)
    assert "lift-0002 is left out (broken video): camera agentview: the picture of step 2 cannot be read (" in told(2)


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        (np.bytes_(b'{"language_instruction": "\xd6ffne"}'), r"instruction not UTF-8.*b'\\xd6ffne'"),
        ('{"language_instruction"', "no instruction.*holds no language_instruction"),
        ("{}", "no instruction.*holds no language_instruction"),
        ("[]", "no instruction.*holds no language_instruction"),
        ('{"language_instruction": null}', "no instruction.*holds no language_instruction"),
    ],
)
def test_instructions_that_cannot_be_read_are_told(libero, info, sentence):
    with h5py.File(libero, "a") as file:
        file["data"].attrs["problem_info"] = info
    reader = LiberoHdf5Reader(str(libero))
    with pytest.raises(UnusableEpisode, match=sentence):
        reader.read(reader.keys()[0], False, Counter())


@pytest.mark.parametrize("told", [list("open the drawer"), ["open", "the", "drawer"], ["open the drawer"]])
def test_an_instruction_in_letters_or_words_is_one_text(libero, told):
    with h5py.File(libero, "a") as file:
        file["data"].attrs["problem_info"] = json.dumps({"language_instruction": told})
    reader = LiberoHdf5Reader(str(libero))
    assert reader.read(reader.keys()[0], False, Counter()).instruction == "open the drawer"


def test_each_bad_demonstration_is_told(libero):
    def change(path, value):
        with h5py.File(libero, "a") as file:
            old = file[path][()]
            del file[path]
            if value is not None:
                file[path] = value(old)
        return path, old

    def expect(path, value, sentence):
        path, old = change(path, value)
        reader = LiberoHdf5Reader(str(libero))
        with pytest.raises(UnusableEpisode, match=sentence):
            reader.read((reader.keys()[0][0], 0), True, Counter())
        reader.read((reader.keys()[0][0], 2), True, Counter())
        with h5py.File(libero, "a") as file:
            file.pop(path, None)
            file[path] = old

    def broken(values):
        values = values.copy()
        values[1, 0] = np.nan
        return values

    expect("data/demo_0/obs/gripper_states", None, r"-0000 is left out \(missing column\): it has no array obs/gripper")
    expect("data/demo_0/obs/ee_pos", broken, r"\(not finite\): obs/ee_pos is nan at step 1, dimension 0")
    expect("data/demo_0/actions", lambda v: v[:3], r"\(missing rows\): its arrays have \[3, 6\] rows")
    expect(
        "data/demo_0/obs/agentview_rgb", lambda v: v[:3], r"\(too few frames\): camera agentview: .* 3 pictures for 5"
    )
    expect("data/demo_0/obs/agentview_rgb", None, r"\(missing video\)")
    expect("data/demo_0/obs/ee_ori", lambda v: v[:, :2], r"\(other dimensions\): it has 7 and 7 numbers")
    for path in ("actions", *(f"obs/{name}" for name in LIBERO_OBS)):
        change(f"data/demo_0/{path}", lambda v: v[:1])
    with pytest.raises(UnusableEpisode, match=r"\(no steps\)"):
        LiberoHdf5Reader(str(libero)).read(("kitchen-scene1-open-the-drawer", 0), False, Counter())


def test_an_instruction_that_is_no_utf8_is_told(libero):
    with h5py.File(libero, "a") as file:
        told = json.dumps({"language_instruction": "open the café"}, ensure_ascii=False).encode("latin-1")
        file["data"].attrs.create("problem_info", told, dtype=h5py.string_dtype("utf-8"))
    reader = LiberoHdf5Reader(str(libero))
    with pytest.raises(UnusableEpisode, match=r"open the caf\\xe9' is not UTF-8"):
        reader.read(reader.keys()[0], False, Counter())


def test_nothing_to_read_is_told(tmp_path, drawn, libero):
    with pytest.raises(FileNotFoundError, match="no HDF5 file in"):
        LiberoHdf5Reader(str(tmp_path / "nowhere"))
    h5py.File(tmp_path / "empty.hdf5", "w").close()
    with pytest.raises(ValueError, match="is empty: no file in it"):
        LiberoHdf5Reader(str(tmp_path / "empty.hdf5"))
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(ValueError, match="is no HDF5 file"):
        LiberoHdf5Reader(str(tmp_path / "text.hdf5"))
    with pytest.raises(ValueError, match="no camera front; it has agentview"):
        LiberoHdf5Reader(str(libero), cameras=["front"])
    with pytest.raises(ValueError, match="no file of the task 'fly'"):
        LiberoHdf5Reader(str(libero)).keys(["fly"])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda v: v.astype(np.float32) / 255, r"\(5, 32, 32, 3\) float32, no bytes"),
        (lambda v: v.astype(np.uint16), r"\(5, 32, 32, 3\) uint16, no bytes"),
        (lambda v: v[..., :1], r"\(5, 32, 32, 1\) uint8, one channel, as depth has"),
        (lambda v: v[..., 0].astype(np.float32), r"\(5, 32, 32\) float32, one channel, as depth has"),
        (lambda v: np.concatenate([v, v[..., :1]], axis=3), r"\(5, 32, 32, 4\) uint8, RGBA or colour with depth"),
        (lambda v: v.transpose(0, 3, 1, 2), r"\(5, 3, 32, 32\) uint8, the channels before height and width"),
        (lambda v: v[:, 0, :, 0], r"\(5, 32\) uint8, perhaps encoded pictures"),
    ],
)
def test_pictures_that_are_no_colour_leave_one_demonstration_out(robomimic, change, found):
    settings = dict(path=str(robomimic), instruction="lift the cube", size_px=16)

    def put(demo):
        with h5py.File(robomimic, "a") as file:
            old = file[f"data/{demo}/obs/agentview_image"][()]
            del file[f"data/{demo}/obs/agentview_image"]
            file[f"data/{demo}/obs/agentview_image"] = change(old)

    put("demo_2")
    reader = RobomimicHdf5Reader(**settings)
    sentence = (
        rf"left out \(not colour\): camera agentview: /data/demo_2/obs/agentview_image of .*lift.hdf5 holds {found}"
    )
    with pytest.raises(UnusableEpisode, match=sentence):
        reader.read(("lift", 2), True, Counter())
    assert [len(list(reader.read(("lift", n), True, Counter()).frames["agentview"])) for n in (0, 10)] == [6, 4]
    assert len(reader.read(("lift", 2), False, Counter())) == 5
    for demo in ("demo_0", "demo_10"):
        put(demo)
    with pytest.raises(
        ValueError, match=r"No demonstration has pictures for camera agentview: .* expected \(T, h, w, 3\)"
    ):
        RobomimicHdf5Reader(**settings)


def test_pictures_of_another_size_leave_one_demonstration_out(robomimic, drawn):
    with h5py.File(robomimic, "a") as file:
        del file["data/demo_2/obs/agentview_image"]
        file["data/demo_2/obs/agentview_image"] = np.stack([drawn(t, 0, 48, 48) for t in range(5)])
    reader = RobomimicHdf5Reader(str(robomimic), "lift the cube")
    reader.read(("lift", 0), True, Counter())
    sentence = r"\(uneven pictures\): camera agentview: its pictures have 48x48 px, others 32 px; give size_px"
    with pytest.raises(UnusableEpisode, match=sentence):
        reader.read(("lift", 2), True, Counter())
    one_size = RobomimicHdf5Reader(str(robomimic), "lift the cube", size_px=16)
    assert one_size.read(("lift", 2), True, Counter()).frames["agentview"][0].shape == (16, 16, 3)


def test_a_file_whose_name_has_blanks_is_a_task_that_shards_can_hold(tmp_path, drawn):
    path = write(tmp_path / "lift the cube (2).hdf5", drawn, ROBOMIMIC_OBS, ())
    reader = RobomimicHdf5Reader(str(path), "lift the cube", cameras={})
    assert reader.keys()[0] == ("lift-the-cube--2-", 0)
    with pytest.raises(ValueError, match=r"no name that shards can give to a camera"):
        body = replace(ROBOSUITE_PANDA, cameras=("left eye",))
        RobomimicHdf5Reader(str(path), "lift the cube", cameras={"left eye": "left_image"}, embodiment=body)


def test_groups_and_arrays_in_each_others_place_lose_one_demonstration(robomimic):
    with h5py.File(robomimic, "a") as file:
        file["data/demo_7"] = np.zeros(3)
        del file["data/demo_0/obs/agentview_image"], file["data/demo_2/obs/robot0_eef_pos"]
        file.create_group("data/demo_0/obs/agentview_image")
        file.create_group("data/demo_2/obs/robot0_eef_pos")
        actions = file["data/demo_10/actions"][()][..., None]
        del file["data/demo_10/actions"]
        file["data/demo_10/actions"] = actions
    reader = RobomimicHdf5Reader(str(robomimic), "lift the cube", size_px=16)
    assert [number for _, number in reader.keys()] == [0, 2, 10]
    for number, sentence in (
        (0, r"/data/demo_0/obs/agentview_image of .* is a group, expected an array of pictures"),
        (2, r"\(missing column\): it has no array obs/robot0_eef_pos"),
        (10, r"\(broken data\): actions has the shape \(4, 7, 1\), expected a row a step"),
    ):
        with pytest.raises(UnusableEpisode, match=sentence):
            reader.read(("lift", number), True, Counter())
