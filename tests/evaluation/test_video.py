"""Films open again and show what happened."""

import errno

import imageio.v3 as imageio
import numpy as np
import pytest

from la4vla.evaluation.video import FINAL_FRAMES, Films, dressed, write_film, write_grid
from la4vla.rollout.trajectory import Trajectory


def episode(task, success, frames):
    images = [np.full((64, 64, 3), 40 * index, dtype=np.uint8) for index in range(frames)]
    return Trajectory(
        task, 5, success, 2 * frames, np.zeros((1, 4)), np.zeros((2, 4)), images, list(range(0, 2 * frames, 2))
    )


def test_one_film_for_each_filmed_episode_and_one_of_all(tmp_path):
    films = Films(tmp_path / "videos", fps=20)
    for filmed in (episode("reach", True, 4), episode("push", False, 2), episode("sweep", True, 0)):
        films(filmed)
        assert filmed.frames == []  # let go
    paths = sorted((tmp_path / "videos").iterdir())
    assert [path.name for path in paths] == ["push_5.mp4", "reach_5.mp4"]
    film = imageio.imread(paths[1])
    assert film.shape == (3 + FINAL_FRAMES, 352, 332, 3)
    assert imageio.immeta(paths[1], plugin="FFMPEG")["fps"] == 20
    assert film[2, 100:300, 100:300].mean() == pytest.approx(80, abs=4)
    red, green, _ = film[-1, 340, 2].astype(int)  # the end of the solved episode
    assert green > red + 60
    red, green, _ = imageio.imread(paths[0])[-1, 340, 2].astype(int)
    assert red > green + 60

    grid = imageio.imread(write_grid(tmp_path / "grid.mp4", [paths, [paths[1]]], side_px=96))
    assert grid.shape == (3 + FINAL_FRAMES, 192, 180, 3)
    middle = grid[-1].astype(float)  # push has ended at grey 40, reach at grey 120, the fourth place is empty
    greys = [middle[y : y + 10, x : x + 10].mean() for y, x in ((45, 45), (45, 140), (140, 45), (140, 140))]
    assert greys == pytest.approx([40, 120, 120, 0], abs=6)


def test_nothing_filmed_leaves_nothing(tmp_path):
    Films(tmp_path / "videos", fps=20)(episode("sweep", True, 0))
    assert not (tmp_path / "videos").exists()
    with pytest.raises(ValueError, match="no films"):
        write_grid(tmp_path / "grid.mp4", [[]])


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"disk filled up while writing the film .*reach_5.mp4; .*videos=0"):
        Films(tmp_path, fps=20)(episode("reach", True, 1))
    assert list(tmp_path.iterdir()) == []


def test_wide_frames_keep_their_shape():
    wide = episode("reach", True, 1)
    wide.frames[0] = np.zeros((64, 128, 3), dtype=np.uint8)
    assert next(dressed(wide)).shape == (352, 652, 3)


def test_the_rows_of_a_grid_have_names_and_wide_films_fill_it(tmp_path):
    film = write_film(tmp_path / "a.mp4", [np.full((64, 128, 3), 200, dtype=np.uint8)] * 2, 5.0)
    grid = imageio.imread(write_grid(tmp_path / "grid.mp4", [[film], [film]], side_px=64, names=["la", "mixpt"]))
    assert grid.shape == (2, 2 * (64 + 26), 128, 3)
    assert (grid[0, 26:90] > 150).all()  # nothing of the picture is black
    assert grid[0, :26].max() > 200  # a line of text
