"""Which shapes of a MuJoCo model a camera cannot see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco


def outside(model: mujoco.MjModel, data: mujoco.MjData, camera: int, crop: float) -> np.ndarray:
    """Geoms that lie wholly outside a camera's field of view, ``(ngeom,)`` bool, by their bounding spheres.

    Without shadows and reflections they leave no trace in the picture, but all their triangles would be transformed.

    Args:
        model: The model.
        data: Where its geoms and cameras are.
        camera: Number of the camera.
        crop: Side of the square that is kept of the square picture, as a fraction, around its centre.
    """
    centres = (data.geom_xpos - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    radii = model.geom_rbound
    slope = crop * np.tan(np.radians(model.cam_fovy[camera] / 2))
    # A camera looks along its negative z. The sides of the field are planes through the eye, with unit normals outward.
    beyond_sides = (np.abs(centres[:, :2]) + slope * centres[:, 2:]) / np.hypot(1.0, slope) > radii[:, None]
    unbounded = radii == 0  # planes
    hidden: np.ndarray = (beyond_sides.any(axis=1) | (centres[:, 2] > radii)) & ~unbounded
    return hidden
