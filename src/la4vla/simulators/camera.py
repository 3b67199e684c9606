"""Pictures of a MuJoCo model, off screen: what ``ViewProfile`` says, done."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from la4vla.schema.view import Shot, ViewProfile
from la4vla.simulators.frustum import outside

# OSMesa renders on the processor and needs no display; whoever has a GPU sets MUJOCO_GL=egl.
GL_PLATFORM = os.environ.setdefault("MUJOCO_GL", "osmesa").lower()
if find_spec("triton"):
    # Mesa and Triton each bring an LLVM: torch crashes when it loads Triton after Mesa, the other order is sound.
    import_module("triton")
try:
    import mujoco

    # By name, because MuJoCo chooses only once, and somebody may have imported it before the variable was set.
    GLContext = import_module(f"mujoco.{GL_PLATFORM}").GLContext
except (ImportError, AttributeError) as error:
    raise ImportError(
        f"No off-screen OpenGL for MUJOCO_GL={GL_PLATFORM} ({error}): "
        "`apt-get install libosmesa6`, or set MUJOCO_GL=egl on a machine with a GPU driver."
    ) from error

UNSEEN = mujoco.mjNGROUP - 1  # a group of geoms that no model draws


class Camera:
    """Renders the cameras of one view of one model.

    Only the part of the image that survives the crop is rendered: a narrower frustum samples the very same points.
    Without shadows and reflections, shapes outside of it are left out.

    At small sizes nearly all time goes into the triangles of the robot's arm, not into pixels. So a view without
    anti-aliasing also merges the vertices of large meshes that lie closer together than half a pixel's footprint; small
    meshes stay as they are.

    Args:
        model: What is rendered; a copy is changed, so that nothing done for pictures reaches the physics.
        view: How. Where the cameras are is the simulator's own affair: MuJoCo places them with the bodies.
        cameras: By name of the picture, name of the camera in the model.
        hidden_groups: Groups of geoms that are not drawn, such as collision shapes.
        nearest_m: By name of the picture, distance from its camera to the nearest large mesh, which sets how far meshes
            are thinned.
        bottom_up: Whether a shot's ``rotate_deg`` is meant for pictures that begin with their lowest row.

    Raises:
        ValueError: If the model has no such camera.
    """

    THIN_ABOVE_FACES = 1000

    def __init__(
        self,
        model: mujoco.MjModel,
        view: ViewProfile,
        cameras: Mapping[str, str],
        nearest_m: Mapping[str, float],
        hidden_groups: Sequence[int] = (),
        bottom_up: bool = False,
    ) -> None:
        self.view = view
        self._bottom_up = bottom_up
        self._model = copy.deepcopy(model)
        self._poses = {shot.camera: self._pose(cameras[shot.camera]) for shot in view.shots}
        self._prepare(nearest_m)
        self._groups = self._model.geom_group.copy()
        self._scene = mujoco.MjvScene(self._model, maxgeom=1000)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = view.shadows
        self._option = mujoco.MjvOption()
        self._option.geomgroup[[*hidden_groups, UNSEEN]] = 0
        _make_current()
        self._context: mujoco.MjrContext | None = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)

    def render(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """The view of ``data``: by camera, ``(size_px, size_px, 3)`` uint8."""
        return {shot.camera: self._finished(self._pixels(data, shot), shot) for shot in self.view.shots}

    def close(self) -> None:
        """Free what this view holds on the renderer."""
        if self._context is not None:
            _make_current()
            self._context.free()
            self._context = None

    def _pixels(self, data: mujoco.MjData, shot: Shot) -> np.ndarray:
        side, pose = _side_px(shot), self._poses[shot.camera]
        groups = self._groups
        if not self.view.shadows:
            groups = np.where(outside(self._model, data, pose.fixedcamid, shot.crop), UNSEEN, groups)
        self._model.geom_group[:] = groups
        mujoco.mjv_updateScene(self._model, data, self._option, None, pose, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        for eye in self._scene.camera:
            eye.frustum_bottom *= side / shot.render_px
            eye.frustum_top *= side / shot.render_px
        pixels = np.empty((side, side, 3), dtype=np.uint8)
        _make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        mujoco.mjr_render(mujoco.MjrRect(0, 0, side, side), self._scene, self._context)
        mujoco.mjr_readPixels(pixels, None, mujoco.MjrRect(0, 0, side, side), self._context)
        return pixels

    def _finished(self, pixels: np.ndarray, shot: Shot) -> np.ndarray:
        # OpenGL's first row is the lowest one.
        image = np.rot90(pixels if self._bottom_up else pixels[::-1], shot.rotate_deg // 90)
        image = np.ascontiguousarray(image)
        if len(image) == self.view.size_px:
            return image
        resized = Image.fromarray(image).resize((self.view.size_px, self.view.size_px), Image.Resampling.BILINEAR)
        return np.asarray(resized)

    def _pose(self, camera: str) -> mujoco.MjvCamera:
        pose = mujoco.MjvCamera()
        pose.type = mujoco.mjtCamera.mjCAMERA_FIXED
        pose.fixedcamid = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        if pose.fixedcamid < 0:
            raise ValueError(f"The simulator has no camera {camera!r}, which view {self.view.name!r} asks for.")
        return pose

    def _prepare(self, nearest_m: Mapping[str, float]) -> None:
        model, view = self._model, self.view
        model.vis.global_.offwidth = model.vis.global_.offheight = max(_side_px(shot) for shot in view.shots)
        model.vis.quality.offsamples = view.multisampling
        if not view.shadows:
            model.vis.quality.shadowsize = 0
        if view.multisampling == 0:
            footprints_m = [self._footprint_m(shot, nearest_m[shot.camera]) for shot in view.shots]
            _thin_meshes(model, min(footprints_m) / 2, self.THIN_ABOVE_FACES)

    def _footprint_m(self, shot: Shot, distance_m: float) -> float:
        """Side of what one rendered pixel covers at a distance."""
        angle = np.radians(self._model.cam_fovy[self._poses[shot.camera].fixedcamid] / 2)
        return float(2 * distance_m * np.tan(angle) / shot.render_px)


def _side_px(shot: Shot) -> int:
    """Side of the part that survives the crop."""
    return round(shot.render_px * shot.crop)


def _thin_meshes(model: mujoco.MjModel, cell_m: float, above_faces: int) -> None:
    """Merge the vertices of each cell of a grid, in place, and drop the triangles that this collapses."""
    for mesh in np.flatnonzero(model.mesh_facenum > above_faces):
        first_face, first_vertex = model.mesh_faceadr[mesh], model.mesh_vertadr[mesh]
        faces = slice(first_face, first_face + model.mesh_facenum[mesh])
        vertices = model.mesh_vert[first_vertex : first_vertex + model.mesh_vertnum[mesh]]
        cells = np.round((vertices - vertices.min(axis=0)) / cell_m).astype(np.int64)
        _, first, cell = np.unique(cells @ [1 << 40, 1 << 20, 1], return_index=True, return_inverse=True)
        merged = first[cell][model.mesh_face[faces]]
        low, middle, high = np.sort(merged, axis=1).T
        _, distinct = np.unique((low << 40) + (middle << 20) + high, return_index=True)
        kept = np.sort(distinct[(low < middle)[distinct] & (middle < high)[distinct]])
        for array in (model.mesh_facenormal, model.mesh_facetexcoord):
            array[first_face : first_face + len(kept)] = array[faces][kept]
        model.mesh_face[first_face : first_face + len(kept)] = merged[kept]
        model.mesh_facenum[mesh] = len(kept)


@cache
def _gl_context() -> Any:
    # One for the process: MuJoCo draws into its own frame buffers, and freeing one context of several can free
    # another's objects (mujoco.Renderer.close, MuJoCo 3.3).
    return GLContext(1, 1)


def _make_current() -> None:
    _gl_context().make_current()
