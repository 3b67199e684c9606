"""How camera images are made: the part of a data set that must be equal in training and at test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Shot:
    """One camera's part of a view: place the camera, render, rotate, crop the centre.

    Args:
        camera: Name of the camera in the embodiment, and of its pictures.
        render_px: Height and width rendered, in pixels.
        rotate_deg: Rotation in the image plane, a multiple of 90.
        crop: Side of the centre crop as a fraction of the rendered side, in (0, 1].
        position_m: Overrides the camera's position in its parent frame; None keeps the simulator's.

    Raises:
        ValueError: If a number is none that can be rendered.
    """

    camera: str
    render_px: int
    rotate_deg: int = 0
    crop: float = 1.0
    position_m: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.render_px < 1:
            raise ValueError(f"render_px must be at least 1, got {self.render_px}.")
        if self.rotate_deg % 90:
            raise ValueError(f"rotate_deg must be a multiple of 90, got {self.rotate_deg}.")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop is a fraction in (0, 1], got {self.crop}.")


@dataclass(frozen=True)
class ViewProfile:
    """One named way to turn the cameras of a robot into the images a policy sees.

    Args:
        name: Name of the profile.
        shots: One for each camera shown, in the embodiment's order.
        size_px: Height and width of every image after its resize, in pixels.
        shadows: Whether shadows and reflections are rendered.
        multisampling: Samples per pixel of the renderer's anti-aliasing; 0 turns it off.

    Raises:
        ValueError: If there is no shot, or two of one camera, or a number is none that can be rendered.
    """

    name: str
    shots: tuple[Shot, ...]
    size_px: int
    shadows: bool = True
    multisampling: int = 4

    def __post_init__(self) -> None:
        if not self.shots or len(set(self.cameras)) < len(self.shots):
            raise ValueError(f"A view shows at least one camera, and each once, got {list(self.cameras)}.")
        if self.size_px < 1 or self.multisampling < 0:
            raise ValueError(
                f"size_px must be at least 1 and multisampling at least 0, got {self.size_px} and {self.multisampling}."
            )

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras shown."""
        return tuple(shot.camera for shot in self.shots)

    def to_json(self) -> dict[str, Any]:
        """This profile as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ViewProfile:
        """The inverse of :meth:`to_json`."""
        values: dict[str, Any] = dict(fields)
        return cls(**{**values, "shots": tuple(_shot(shot) for shot in values["shots"])})


def _shot(fields: Mapping[str, Any]) -> Shot:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Shot(**values)
