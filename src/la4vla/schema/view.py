"""How a camera image is made: the part of a data set that must be equal in training and at test."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ViewProfile:
    """One named way to turn a simulator's camera into the image a policy sees.

    The steps, in order: place the camera, render, rotate, crop the centre, resize.

    Args:
        name: Name of the profile.
        camera: Camera name in the simulator.
        render_px: Height and width rendered, in pixels.
        size_px: Height and width after the resize, in pixels.
        rotate_deg: Rotation in the image plane, a multiple of 90.
        crop: Side of the centre crop as a fraction of the rendered side, in (0, 1].
        camera_position_m: Overrides the camera's position in its parent frame; None keeps the simulator's.
        shadows: Whether shadows and reflections are rendered.
        multisampling: Samples per pixel of the renderer's anti-aliasing; 0 turns it off.
    """

    name: str
    camera: str
    render_px: int
    size_px: int
    rotate_deg: int = 0
    crop: float = 1.0
    camera_position_m: tuple[float, float, float] | None = None
    shadows: bool = True
    multisampling: int = 4

    def __post_init__(self) -> None:
        if self.rotate_deg % 90:
            raise ValueError(f"rotate_deg must be a multiple of 90, got {self.rotate_deg}.")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop is a fraction in (0, 1], got {self.crop}.")

    def to_json(self) -> dict[str, Any]:
        """This profile as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ViewProfile:
        """The inverse of :meth:`to_json`; lists become tuples."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)
