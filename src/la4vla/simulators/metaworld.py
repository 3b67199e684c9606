"""Meta-World 3 as an environment and as a scripted expert: the only file that knows the package and MuJoCo."""

from __future__ import annotations

import copy
import os
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation, Step
from la4vla.schema.view import ViewProfile
from la4vla.simulators.metaworld_tasks import TASKS

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

from metaworld.env_dict import ALL_V3_ENVIRONMENTS  # noqa: E402
from metaworld.policies import ENV_POLICY_MAP  # noqa: E402
from metaworld.policies.policy import Policy  # noqa: E402
from metaworld.sawyer_xyz_env import SawyerXYZEnv  # noqa: E402

# The experts' proportional commands exceed the action bounds by design and are clipped here.
warnings.filterwarnings("ignore", message="Constant\\(s\\) may be too high", module="metaworld")

METAWORLD = Embodiment(
    name="metaworld",
    proprioception=("hand_x_m", "hand_y_m", "hand_z_m", "gripper_opening"),
    actions=("dx", "dy", "dz", "gripper_effort"),
    cameras=("corner2",),
    control_hz=80.0,
    gripper=3,
    gripper_open=1.0,
    gripper_closed=0.3,  # the fingers of a closed, empty gripper stay 3 cm apart
    forward=(0.0, 1.0, 0.0),
    left=(-1.0, 0.0, 0.0),
    up=(0.0, 0.0, 1.0),
)

VIEWS: dict[str, ViewProfile] = {
    view.name: view
    for view in (
        # The view of the Evo-1 and LA4VLA evaluation clients.
        ViewProfile("evo1", "corner2", render_px=480, size_px=448, rotate_deg=180, crop=2 / 3),
        # The same field of view for small policies, without shadows, reflections and anti-aliasing, and with the
        # robot's meshes thinned to the pixel (see Camera).
        ViewProfile("evo1_96", "corner2", 144, 96, 180, 2 / 3, shadows=False, multisampling=0),
        ViewProfile("evo1_64", "corner2", 96, 64, 180, 2 / 3, shadows=False, multisampling=0),
        # For small policies: the middle of the table alone, averaged down from a large picture, so that a goal of two
        # centimetres is still three pixels wide, where evo1_64 shows one or none.
        ViewProfile("tabletop_64", "corner2", 480, 64, 180, 0.4, shadows=False, multisampling=0),
        # The view of lerobot/metaworld_mt50: a camera moved closer, no crop.
        ViewProfile("lerobot", "corner2", 480, 480, 180, camera_position_m=(0.75, 0.075, 0.7)),
    )
}

MAX_STEPS = SawyerXYZEnv.max_path_length


class MetaworldEnvironment:
    """One Meta-World task, satisfying the ``Environment`` protocol of rollouts.

    Args:
        task: Slug of the task, a key of ``TASKS``.
        view: How images are made, or None for an environment that never renders.
        max_steps: Steps after which an episode is over, at most 500, where the package stops.

    Attributes:
        privileged: The present 39-D observation of the simulator, for experts.

    Raises:
        ValueError: If the task is unknown or ``max_steps`` outside 1..500.
    """

    embodiment: Embodiment = METAWORLD

    def __init__(self, task: str, view: ViewProfile | None, max_steps: int = 400) -> None:
        if task not in TASKS:
            raise ValueError(f"Meta-World has no task {task!r}; the tasks are {', '.join(TASKS)}.")
        if not 1 <= max_steps <= MAX_STEPS:
            raise ValueError(f"max_steps must lie in 1..{MAX_STEPS}, got {max_steps}.")
        self.task = TASKS[task]
        self.view = view
        self.max_steps = max_steps
        self.steps = 0
        self._simulator = _simulator(task)
        if view is not None and view.camera_position_m is not None:
            self._simulator.model.camera(view.camera).pos[:] = view.camera_position_m
        self._camera: Camera | None = None
        self.privileged = np.empty(0)

    def reset(self, seed: int, look: bool = True) -> Observation:
        """Start an episode whose goal and object placement are a function of the task and ``seed`` alone."""
        self._simulator.seed(seed)
        self.privileged, _ = self._simulator.reset()
        self.steps = 0
        return self.look() if look else self._observe({})

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        """Execute one action ``(4,)``, clipped to [-1, 1]; images are rendered only if ``look``."""
        executed = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        self.privileged, _, _, _, info = self._simulator.step(executed)
        self.steps += 1
        success = info["success"] == 1
        observation = self.look() if look else self._observe({})
        return Step(observation, success, success or self.steps >= self.max_steps, executed)

    def look(self) -> Observation:
        """The present moment with its images."""
        if self.view is None:
            return self._observe({})
        if self._camera is None:
            self._camera = Camera(self._simulator.model, self.view)
        return self._observe({self.view.camera: self._camera.render(self._simulator.data)})

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _observe(self, images: dict[str, np.ndarray]) -> Observation:
        return Observation(
            proprioception=self.privileged[:4].astype(np.float32),
            instruction=self.task.instruction,
            embodiment=METAWORLD.name,
            images=images,
            view=self.view.name if images and self.view else None,
            privileged=self.privileged,
        )


class MetaworldExpert:
    """The package's scripted policy for a task; it reads the simulator's 39-D observation."""

    def __init__(self, task: str) -> None:
        self._policy: Policy = ENV_POLICY_MAP[f"{task}-v3"]()  # type: ignore[abstract]

    def act(self, privileged: np.ndarray) -> np.ndarray:
        """The expert's command ``(4,)`` float32, clipped to [-1, 1]."""
        return np.clip(self._policy.get_action(privileged), -1.0, 1.0).astype(np.float32)


class Camera:
    """Renders one view of one model, off screen.

    Only the part of the image that survives the crop is rendered: a narrower frustum samples the very same points.

    At small sizes nearly all time goes into the 68 thousand triangles of the robot's arm, not into pixels. So a view
    without anti-aliasing also merges the vertices of large meshes that lie closer together than half a pixel's
    footprint; small meshes, the objects of the tasks among them, stay as they are.Of the
    pixels of ``evo1_64``, 0.6 % change by more than 16 levels of 255, and rendering takes half the time.
    """

    THIN_ABOVE_FACES = 1000
    NEAREST_M = 1.1  # from corner2 to the nearest part of the arm's workspace

    def __init__(self, model: mujoco.MjModel, view: ViewProfile) -> None:
        self.view = view
        self._model = copy.deepcopy(model)  # what is changed for rendering must not reach the physics
        camera = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, view.camera)
        if camera < 0:
            raise ValueError(f"The simulator has no camera {view.camera!r}, which view {view.name!r} asks for.")
        self._crop_px = round(view.render_px * view.crop)
        self._prepare(camera)
        self._scene = mujoco.MjvScene(self._model, maxgeom=1000)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = view.shadows
        self._pose = mujoco.MjvCamera()
        self._pose.type, self._pose.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, camera
        self._option = mujoco.MjvOption()
        _make_current()
        self._context: mujoco.MjrContext | None = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The view of ``data``, ``(size_px, size_px, 3)`` uint8."""
        side = self._crop_px
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._pose, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        for eye in self._scene.camera:
            eye.frustum_bottom *= side / self.view.render_px
            eye.frustum_top *= side / self.view.render_px
        pixels = np.empty((side, side, 3), dtype=np.uint8)
        _make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        mujoco.mjr_render(mujoco.MjrRect(0, 0, side, side), self._scene, self._context)
        mujoco.mjr_readPixels(pixels, None, mujoco.MjrRect(0, 0, side, side), self._context)
        # OpenGL's first row is the lowest one.
        image = np.ascontiguousarray(np.rot90(pixels[::-1], self.view.rotate_deg // 90))
        if side == self.view.size_px:
            return image
        resized = Image.fromarray(image).resize((self.view.size_px, self.view.size_px), Image.Resampling.BILINEAR)
        return np.asarray(resized)

    def close(self) -> None:
        """Free what this view holds on the renderer."""
        if self._context is not None:
            _make_current()
            self._context.free()
            self._context = None

    def _prepare(self, camera: int) -> None:
        model, view = self._model, self.view
        model.vis.global_.offwidth = model.vis.global_.offheight = self._crop_px
        model.vis.quality.offsamples = view.multisampling
        if not view.shadows:
            model.vis.quality.shadowsize = 0
        if view.multisampling == 0:
            footprint_m = 2 * self.NEAREST_M * np.tan(np.radians(model.cam_fovy[camera] / 2)) / view.render_px
            _thin_meshes(model, footprint_m / 2, self.THIN_ABOVE_FACES)


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


def _simulator(task: str) -> SawyerXYZEnv:
    env = ALL_V3_ENVIRONMENTS[f"{task}-v3"]()
    # What set_task does in the package, except that placements come from a seed instead of a pickled vector.
    env._partially_observable = False
    del env.sawyer_observation_space  # cached for the partially observable case, in which the goal is cut to zero
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    env._set_task_called = True
    return env


@cache
def _gl_context() -> Any:
    # One for the process: MuJoCo draws into its own frame buffers, and freeing one context of several can free
    # another's objects (mujoco.Renderer.close, MuJoCo 3.3).
    return GLContext(1, 1)


def _make_current() -> None:
    _gl_context().make_current()
