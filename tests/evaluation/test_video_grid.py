"""Films side by side: every row has its name, every place the shape of its films."""

import imageio.v3 as imageio
import numpy as np
import pytest

from la4vla.evaluation.video import write_film
from la4vla.evaluation.video_grid import GROUND, NAME_PX, write_grid


def film(path, grey, frames, width=100):
    return write_film(path, [np.full((80, width, 3), grey, dtype=np.uint8)] * frames, fps=20)


def test_rows_are_named_and_short_films_rest_on_their_last_frame(tmp_path):
    films = [film(tmp_path / f"{grey}.mp4", grey, frames) for grey, frames in ((60, 2), (120, 5), (180, 3))]
    grid = imageio.imread(write_grid(tmp_path / "grid.mp4", [("base", films[:2]), ("la", films[2:])], height_px=80))
    assert grid.shape == (5, 2 * 88, NAME_PX + 2 * 108, 3)
    last = grid[-1].astype(float)
    places = [last[y + 20 : y + 60, x + 20 : x + 80].mean() for y, x in ((0, 120), (0, 228), (88, 120), (88, 228))]
    assert places == pytest.approx([60, 120, 180, GROUND[0]], abs=6)
    for name in (last[:80, :NAME_PX], last[88:168, :NAME_PX]):
        assert name.max() > 150  # letters on the ground


def test_wide_films_fill_their_places_within_the_widest_grid(tmp_path):
    wide = [film(tmp_path / f"{number}.mp4", 200, 1, width=300) for number in range(5)]
    grid = imageio.imread(write_grid(tmp_path / "grid.mp4", [("la", wide)], height_px=80, widest_px=800))[0]
    assert grid.shape[1] <= 800 and grid.shape[0] % 2 == grid.shape[1] % 2 == 0
    assert (grid[:, NAME_PX:] > 150).mean() > 0.75


def test_no_films_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="no films"):
        write_grid(tmp_path / "grid.mp4", [("la", [])])
