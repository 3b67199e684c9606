"""LIBERO as evaluation clients drive it: the package's own environment, its two cameras rendering at every step."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

from la4vla.schema.observation import Observation
from la4vla.schema.view import ViewProfile
from la4vla.simulators.libero import SETTLING_STEPS, axis_angle
from la4vla.simulators.libero_package import libero, official_states, scene_file
from la4vla.simulators.libero_tasks import TASKS

TASK = "pick_up_the_milk_and_place_it_in_the_basket"
SIDE_PX = 256
CAMERAS = {"agentview": "agentview_image", "wrist": "robot0_eye_in_hand_image"}


class PlainLibero:
    """The package's environment with its observables as they come, 256 x 256 pixels a camera.

    An episode begins as in the clients of openpi and StarVLA: the model is built anew, the official initial state is
    set, and objects settle.

    Args:
        view: What its pictures pass for; their side is its ``size_px``.
    """

    def __init__(self, view: ViewProfile) -> None:
        libero()
        make = import_module("libero.libero.envs.env_wrapper").OffScreenRenderEnv
        self.view = view
        self.simulator = make(
            bddl_file_name=str(scene_file(TASKS[TASK])), camera_heights=SIDE_PX, camera_widths=SIDE_PX
        )

    def reset(self, seed: int) -> Observation:
        """Begin an episode."""
        self.simulator.reset()
        seen = self.simulator.set_init_state(official_states(TASKS[TASK])[seed])
        for _ in range(SETTLING_STEPS):
            seen, *_ = self.simulator.step([0.0] * 6 + [-1.0])
        return self._seen(seen)

    def step(self, action: np.ndarray) -> Observation:
        """Execute one action and render."""
        seen, *_ = self.simulator.step(np.clip(action, -1, 1).tolist())
        return self._seen(seen)

    def _seen(self, seen: dict[str, Any]) -> Observation:
        """Turned by 180 degrees and resized."""
        side = self.view.size_px
        images = {
            camera: np.asarray(Image.fromarray(np.rot90(seen[name], 2)).resize((side, side), Image.Resampling.BILINEAR))
            for camera, name in CAMERAS.items()
        }
        hand = [seen["robot0_eef_pos"], axis_angle(seen["robot0_eef_quat"]), seen["robot0_gripper_qpos"]]
        state = np.concatenate(hand).astype(np.float32)
        return Observation(state, TASKS[TASK].instruction, "libero", images, self.view.name)
