"""LIBERO as an environment: with `libero_package.py` and `camera.py` the only file that knows the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import numpy as np

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation, Step
from la4vla.schema.view import ViewProfile
from la4vla.simulators.camera import Camera
from la4vla.simulators.libero_body import LIBERO, SIMULATOR_CAMERAS
from la4vla.simulators.libero_package import libero, official_states, scene_file
from la4vla.simulators.libero_physics import advance
from la4vla.simulators.libero_tasks import OFFICIAL_STATES, PROTOCOLS, TASKS

Placements = Literal["official", "sampled"]
GripperMeaning = Literal["closing", "opening"]

SETTLING_STEPS = 10  # objects are placed a little above what they rest on
COLLISION_SHAPES = 0  # robosuite's group of geoms that pictures do not show
NEAREST_M = 1.5  # thins meshes to 5 mm in libero_64: nothing of it is seen, and looking takes half the time
SAMPLING_ATTEMPTS = 20
FRONT = SIMULATOR_CAMERAS[LIBERO.cameras[0]]


class LiberoEnvironment:
    """One LIBERO task, satisfying the ``Environment`` protocol of rollouts.

    Physics, controller and success are the package's. Its observables are switched off: the cameras among them render
    at every step, which costs ten times the step. What is observed is read from the simulator when it is asked for,
    2 ms later than the observables would have.

    Args:
        task: Slug of the task, a key of ``TASKS``.
        view: How images are made, or None for an environment that never renders.
        protocol: Whose step limits and settling steps, a key of ``PROTOCOLS``.
        max_steps: Steps after which an episode is over; None takes the protocol's.
        placements: What a seed means. "official": the number, from 0 to 49, of the initial state the package ships;
            "sampled": the seed of a placement by the package's own samplers, never one of the official ones.
        gripper: What the last action means. "closing": above 0 closes, below 0 opens, robosuite's own; "opening": above
            0.5 opens, else closes, as policies say it that were trained on openings from 0 to 1.
        camera_shift_m: How far the camera in front of the robot is moved.

    Attributes:
        privileged: Hand position (3), rotation as quaternion xyzw (4), finger positions (2) and speeds (2), then for
            each body of interest its position (3), quaternion xyzw (4) and the lower and upper corner (3 + 3) of its
            collision shapes' box in its own axes; metres. For experts.

    Raises:
        ValueError: If an argument is none of those named.
        ImportError: If the package is not installed.
        FileNotFoundError: If its assets are missing.
    """

    embodiment: Embodiment = LIBERO

    def __init__(
        self,
        task: str,
        view: ViewProfile | None,
        protocol: str = "standard",
        max_steps: int | None = None,
        placements: Placements = "official",
        gripper: GripperMeaning = "closing",
        camera_shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        if task not in TASKS:
            raise ValueError(f"LIBERO has no task {task!r}; the tasks are {', '.join(TASKS)}.")
        if protocol not in PROTOCOLS:
            raise ValueError(f"LIBERO has no protocol {protocol!r}; the protocols are {', '.join(PROTOCOLS)}.")
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {max_steps}.")
        self.task = TASKS[task]
        self.view = view
        self.protocol = PROTOCOLS[protocol]
        self.max_steps = max_steps or self.protocol.max_steps[self.task.suite]
        self.placements = placements
        self.gripper = gripper
        self.steps = 0
        self.privileged = np.empty(0)
        self._simulator = _simulator(task, placements)
        self._simulator.sim.model._model.camera(FRONT).pos[:] += camera_shift_m
        self._bodies = _bodies_of_interest(self._simulator)
        self._camera: Camera | None = None

    def reset(self, seed: int, look: bool = True) -> Observation:
        """Start an episode whose placement is a function of the task and ``seed`` alone, and let objects settle."""
        if self.placements == "official" and not 0 <= seed < OFFICIAL_STATES:
            raise ValueError(f"LIBERO ships initial states 0 to {OFFICIAL_STATES - 1} for each task, not {seed}.")
        with _numpy_seeded(seed):
            self._place()
        if self.placements == "official":
            self._simulator.sim.set_state_from_flattened(official_states(self.task)[seed])
        self._simulator.sim.forward()
        # Grippers ramp their command up and keep it over a reset, which would let the last episode reach into this one.
        gripper = self._simulator.robots[0].gripper
        gripper.current_action = np.zeros_like(gripper.current_action)
        settling = np.array([0.0] * 6 + [self.protocol.settling_gripper])
        for _ in range(SETTLING_STEPS):
            advance(self._simulator, settling)
        self.steps = 0
        return self.look() if look else self._observe({})

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        """Execute one action ``(7,)``, clipped to [-1, 1]; images are rendered only if ``look``."""
        executed = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        if self.gripper == "opening":
            executed[6] = -1.0 if executed[6] > 0.5 else 1.0
        success = advance(self._simulator, executed.astype(np.float64))
        self.steps += 1
        observation = self.look() if look else self._observe({})
        return Step(observation, success, success or self.steps >= self.max_steps, executed)

    def look(self) -> Observation:
        """The present moment with its images."""
        if self.view is None:
            return self._observe({})
        if self._camera is None:
            self._camera = self._open_camera(self.view)
        return self._observe(self._camera.render(self._simulator.sim.data._data))

    def close(self) -> None:
        """Free the renderer and the simulator."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        self._simulator.close()

    def _place(self) -> None:
        failure = import_module("robosuite.utils.errors").RandomizationError
        for attempt in range(SAMPLING_ATTEMPTS):
            try:
                self._simulator.reset()
                return
            except failure:
                if attempt == SAMPLING_ATTEMPTS - 1:
                    raise

    def _open_camera(self, view: ViewProfile) -> Camera:
        model = self._simulator.sim.model._model
        nearest_m = dict.fromkeys(SIMULATOR_CAMERAS, NEAREST_M)
        return Camera(model, view, SIMULATOR_CAMERAS, nearest_m, hidden_groups=[COLLISION_SHAPES], bottom_up=True)

    def _observe(self, images: dict[str, np.ndarray]) -> Observation:
        robot, data = self._simulator.robots[0], self._simulator.sim.data
        hand = data.site_xpos[robot.eef_site_id]
        quaternion = np.roll(data.get_body_xquat(robot.robot_model.eef_name), -1)
        fingers = data.qpos[robot._ref_gripper_joint_pos_indexes]
        speeds = data.qvel[robot._ref_gripper_joint_vel_indexes]
        bodies = [(data.body_xpos[body], np.roll(data.body_xquat[body], -1), box) for body, box in self._bodies]
        parts = [hand, quaternion, fingers, speeds, *(part for body in bodies for part in body)]
        self.privileged = np.concatenate(parts)
        return Observation(
            proprioception=np.concatenate([hand, axis_angle(quaternion), fingers]).astype(np.float32),
            instruction=self.task.instruction,
            embodiment=LIBERO.name,
            images=images,
            view=self.view.name if images and self.view else None,
            privileged=self.privileged,
        )


def axis_angle(quaternion: np.ndarray) -> np.ndarray:
    """The rotation vector ``(3,)`` of a quaternion xyzw, angle from 0 to 2π.

    As in robosuite and in all published data sets, a quaternion and its negative are not the same here: a hand that
    points down has an angle about π, and would jump between π and -π if the shorter way round were taken.
    """
    w = float(np.clip(quaternion[3], -1.0, 1.0))
    sine = np.sqrt(1.0 - w * w)
    return np.zeros(3) if sine < 1e-9 else quaternion[:3] * (2.0 * np.arccos(w) / sine)


def _simulator(task: str, placements: Placements) -> Any:
    """The package's environment without cameras and observables."""
    libero()
    make = import_module("libero.libero.envs.env_wrapper").ControlEnv
    with _numpy_seeded(0):
        wrapper = make(
            bddl_file_name=str(scene_file(TASKS[task])),
            # Official states hold the joints' noise themselves.
            initialization_noise="default" if placements == "sampled" else None,
            use_camera_obs=False,
            has_offscreen_renderer=False,
            ignore_done=True,
            # A hard reset builds the model anew, to the same effect, in a hundred times the time.
            hard_reset=False,
        )
    for observable in wrapper.env._observables.values():
        observable.set_enabled(False)
        observable.set_active(False)
    return wrapper.env


def _bodies_of_interest(simulator: Any) -> list[tuple[int, np.ndarray]]:
    """The bodies that the task names as of interest, each with its box ``(6,)``: lower corner, upper corner."""
    names = [name for name in simulator.obj_of_interest if name in simulator.obj_body_id]
    return [(simulator.obj_body_id[name], _box(simulator, simulator.obj_body_id[name])) for name in names]


def _box(simulator: Any, body: int) -> np.ndarray:
    """The box around a body's collision shapes in the body's own axes, ``(6,)`` metres."""
    model, data = simulator.sim.model._model, simulator.sim.data._data
    shapes = np.flatnonzero((model.body_rootid[model.geom_bodyid] == body) & (model.geom_group == COLLISION_SHAPES))
    turn = data.xmat[body].reshape(3, 3)
    corners = []
    for shape in shapes:
        own = turn.T @ data.geom_xmat[shape].reshape(3, 3)
        centre = turn.T @ (data.geom_xpos[shape] - data.xpos[body]) + own @ model.geom_aabb[shape, :3]
        half = np.abs(own) @ model.geom_aabb[shape, 3:]
        corners += [centre - half, centre + half]
    return np.concatenate([np.min(corners, axis=0), np.max(corners, axis=0)]) if corners else np.zeros(6)


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """The package draws from numpy's global generator; it is seeded within and left outside as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
