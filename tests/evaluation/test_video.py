"""Films open again and show what happened."""

import imageio.v3 as imageio
import numpy as np
import pytest

from la4vla.evaluation.video import FINAL_FRAMES, dressed, write_videos
from la4vla.rollout.trajectory import Trajectory


def episode(task, success, frames):
    images = [np.full((64, 64, 3), 40 * index, dtype=np.uint8) for index in range(frames)]
    return Trajectory(
        task, 5, success, 2 * frames, np.zeros((1, 4)), np.zeros((2, 4)), images, list(range(0, 2 * frames, 2))
    )


def test_one_film_for_each_filmed_task(tmp_path):
    episodes = [
        episode("reach", True, 4),
        episode("reach", False, 3),
        episode("push", False, 2),
        episode("sweep", True, 0),
    ]
    paths = write_videos(tmp_path / "videos", episodes, fps=20)
    assert [path.name for path in paths] == ["reach.mp4", "push.mp4"]
    film = imageio.imread(paths[0])
    assert film.shape == (3 + FINAL_FRAMES + 2 + FINAL_FRAMES, 352, 332, 3)
    assert imageio.immeta(paths[0], plugin="FFMPEG")["fps"] == 20
    assert film[2, 100:300, 100:300].mean() == pytest.approx(80, abs=4)
    red, green, _ = film[3, 340, 2].astype(int)  # the end of the solved episode
    assert green > red + 60
    red, green, _ = film[-1, 340, 2].astype(int)
    assert red > green + 60
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["push.mp4", "reach.mp4"]


def test_nothing_filmed_leaves_nothing(tmp_path):
    assert write_videos(tmp_path / "videos", [episode("sweep", True, 0)], fps=20) == []
    assert not (tmp_path / "videos").exists()


def test_wide_frames_keep_their_shape():
    wide = episode("reach", True, 1)
    wide.frames[0] = np.zeros((64, 128, 3), dtype=np.uint8)
    assert next(dressed(wide)).shape == (352, 652, 3)
