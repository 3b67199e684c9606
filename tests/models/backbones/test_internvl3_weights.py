"""What a fresh vision tower knows about places."""

from __future__ import annotations

from la4vla.models.backbones.internvl3_sizes import Sizes
from la4vla.models.backbones.internvl3_weights import fresh, grid_sinusoids


def test_a_grid_tells_the_row_then_the_column() -> None:
    grid = grid_sinusoids(3, 8).reshape(3, 3, 8)
    assert (grid[1, :, :4] == grid[1, 0, :4]).all() and (grid[:, 2, 4:] == grid[0, 2, 4:]).all()
    assert len({tuple(place) for place in grid.reshape(9, 8).tolist()}) == 9


def test_a_fresh_tower_starts_from_places() -> None:
    model = fresh(Sizes(16, 8, 1.0, 32, 1, 32, 96, 1, 48, 2, 64, 1024)).model
    places = model.vision_tower.embeddings.position_embeddings
    assert (places[0, 1:] == grid_sinusoids(2, 32)).all() and places.requires_grad
    assert (places[0, 0] == 0).all()
