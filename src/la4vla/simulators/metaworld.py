"""Meta-World 3 as an environment and as a scripted expert: the only file that knows the package and MuJoCo."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

# First, because without OpenGL the package's own import of MuJoCo fails with less of a sentence.
from la4vla.simulators.camera import Camera  # isort: skip
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from metaworld.policies.policy import Policy
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation, Step
from la4vla.schema.view import Shot, ViewProfile
from la4vla.simulators.metaworld_tasks import TASKS

# The experts' proportional commands exceed the action bounds by design and are clipped here.
warnings.filterwarnings("ignore", message="Constant\\(s\\) may be too high", module="metaworld")

METAWORLD = Embodiment(
    name="metaworld",
    proprioception=("hand_x_m", "hand_y_m", "hand_z_m", "gripper_opening"),
    actions=("dx", "dy", "dz", "gripper_effort"),
    cameras=("corner2", "gripperPOV"),
    control_hz=80.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=3,
    gripper_open=1.0,
    gripper_closed=0.3,  # the fingers of a closed, empty gripper stay 3 cm apart
    gripper_action=3,
    gripper_action_open=-1.0,
    gripper_action_closed=1.0,
    forward=(0.0, 1.0, 0.0),
    left=(-1.0, 0.0, 0.0),
    up=(0.0, 0.0, 1.0),
    action_form="increment",
)

# By camera, the distance to the nearest part of the robot with many triangles.
NEAREST_M = {"corner2": 1.1, "gripperPOV": 0.2}


def _corner(render_px: int, crop: float = 1.0, position_m: tuple[float, float, float] | None = None) -> Shot:
    """The camera of all published views, which hangs upside down."""
    return Shot("corner2", render_px, 180, crop, position_m)


VIEWS: dict[str, ViewProfile] = {
    view.name: view
    for view in (
        # The view of the Evo-1 and LA4VLA evaluation clients.
        ViewProfile("evo1", (_corner(480, 2 / 3),), size_px=448),
        # The same field of view for small policies, without shadows, reflections and anti-aliasing, and with the
        # robot's meshes thinned to the pixel (see Camera).
        ViewProfile("evo1_96", (_corner(144, 2 / 3),), 96, shadows=False, multisampling=0),
        ViewProfile("evo1_64", (_corner(96, 2 / 3),), 64, shadows=False, multisampling=0),
        # For small policies: the middle of the table alone, averaged down from a large picture, so that a goal of two
        # centimetres is still three pixels wide, where evo1_64 shows one or none.
        ViewProfile("tabletop_64", (_corner(480, 0.4),), 64, shadows=False, multisampling=0),
        # The same field in sharper pixels, not averaged: quicker to draw, and brown things on the table can be seen.
        ViewProfile("tabletop_96", (_corner(240, 0.4),), 96, shadows=False, multisampling=0),
        # Both, each with what the hand sees, in which an object that is about to be grasped is large.
        ViewProfile("tabletop_hand_64", (_corner(480, 0.4), Shot("gripperPOV", 128)), 64, False, 0),
        ViewProfile("tabletop_hand_96", (_corner(240, 0.4), Shot("gripperPOV", 96)), 96, False, 0),
        # The view of lerobot/metaworld_mt50: a camera moved closer, no crop.
        ViewProfile("lerobot", (_corner(480, position_m=(0.75, 0.075, 0.7)),), size_px=480),
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
        for shot in () if view is None else view.shots:
            if shot.position_m is not None:
                self._simulator.model.camera(shot.camera).pos[:] = shot.position_m
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
            names = {camera: camera for camera in self.view.cameras}
            self._camera = Camera(self._simulator.model, self.view, names, NEAREST_M)
        return self._observe(self._camera.render(self._simulator.data))

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
        experts: Mapping[str, Callable[[], Policy]] = ENV_POLICY_MAP
        self._policy = experts[f"{task}-v3"]()

    def act(self, privileged: np.ndarray) -> np.ndarray:
        """The expert's command ``(4,)`` float32, clipped to [-1, 1]."""
        return np.clip(self._policy.get_action(privileged), -1.0, 1.0).astype(np.float32)


def _simulator(task: str) -> SawyerXYZEnv:
    env = ALL_V3_ENVIRONMENTS[f"{task}-v3"]()
    # What set_task does in the package, except that placements come from a seed instead of a pickled vector.
    env._partially_observable = False
    del env.sawyer_observation_space  # cached for the partially observable case, in which the goal is cut to zero
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    env._set_task_called = True
    return env
