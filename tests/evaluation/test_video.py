"""Films open again and show what happened."""

import errno

import imageio.v3 as imageio
import numpy as np
import pytest

from la4vla.evaluation.video import FINAL_FRAMES, Films, dressed, lettering, wrapped
from la4vla.rollout.trajectory import Trajectory


def episode(task, success, frames, instruction=""):
    images = [np.full((64, 64, 3), 40 * index, dtype=np.uint8) for index in range(frames)]
    return Trajectory(
        task,
        5,
        success,
        2 * frames,
        np.zeros((1, 4)),
        np.zeros((2, 4)),
        images,
        list(range(0, 2 * frames, 2)),
        instruction=instruction,
    )


def test_one_film_for_each_filmed_episode(tmp_path):
    films = Films(tmp_path / "videos", fps=20, policy="la")
    for filmed in (episode("reach", True, 4), episode("push", False, 2), episode("sweep", True, 0)):
        films(filmed)
        assert filmed.frames == []  # let go
    paths = sorted((tmp_path / "videos").iterdir())
    assert [path.name for path in paths] == ["push_5.mp4", "reach_5.mp4"]
    film = imageio.imread(paths[1])
    assert film.shape == (3 + FINAL_FRAMES, 370, 332, 3)
    assert imageio.immeta(paths[1], plugin="FFMPEG")["fps"] == 20
    assert film[2, 100:300, 100:300].mean() == pytest.approx(80, abs=4)
    red, green, _ = film[-1, 340, 2].astype(int)  # the end of the solved episode
    assert green > red + 60
    red, green, _ = imageio.imread(paths[0])[-1, 340, 2].astype(int)
    assert red > green + 60


def test_nothing_filmed_leaves_nothing(tmp_path):
    Films(tmp_path / "videos", fps=20, policy="la")(episode("sweep", True, 0))
    assert not (tmp_path / "videos").exists()


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"disk filled up while writing the film .*reach_5.mp4; .*videos=0"):
        Films(tmp_path, fps=20, policy="la")(episode("reach", True, 1))
    assert list(tmp_path.iterdir()) == []


def test_wide_frames_keep_their_shape():
    wide = episode("reach", True, 1)
    wide.frames[0] = np.zeros((64, 128, 3), dtype=np.uint8)
    assert next(dressed(wide, "la")).shape == (370, 652, 3)


def test_who_acts_and_what_it_was_told_stand_below_in_whole_lines():
    told = "pick up the alphabet soup and place it in the basket beside the plate"
    short, long = (next(dressed(episode("reach", True, 1, words), "la")) for words in ("go", told))
    assert (long.shape[0] - short.shape[0], long.shape[1]) == (18, 332)
    assert short[352:].std() > 5  # there are letters
    lines = wrapped(f"la: {told} {100 * 'x'}", 320)
    assert "".join(lines).replace(" ", "") == f"la: {told} {100 * 'x'}".replace(" ", "")
    assert max(map(lettering().getlength, lines)) <= 320
