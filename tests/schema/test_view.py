"""Views that no renderer can make are refused."""

from __future__ import annotations

import pytest

from la4vla.schema.view import Shot, ViewProfile


@pytest.mark.parametrize(
    ("shot", "view", "sentence"),
    [
        ({"render_px": 0}, {}, "render_px must be at least 1, got 0"),
        ({"rotate_deg": 45}, {}, "rotate_deg must be a multiple of 90, got 45"),
        ({"crop": 0.0}, {}, "crop is a fraction"),
        ({}, {"size_px": 0}, "size_px must be at least 1 and multisampling at least 0, got 0 and 4"),
        ({}, {"multisampling": -1}, "size_px must be at least 1 and multisampling at least 0, got 8 and -1"),
        ({}, {"shots": ()}, "at least one camera"),
    ],
)
def test_impossible_numbers_are_refused(shot: dict[str, float], view: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        shots = (Shot(**{"camera": "front", "render_px": 8, **shot}),)
        ViewProfile(**{"name": "front", "shots": shots, "size_px": 8, **view})


def test_a_view_reads_back_as_written() -> None:
    view = ViewProfile("front", (Shot("front", 8, 90, 0.5, (0.0, 1.0, 2.0)),), 4, shadows=False)
    assert ViewProfile.from_json(view.to_json()) == view
