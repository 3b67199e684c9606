"""Meta-World as evaluation clients drive it: the package's own environment, rendered after every step."""

from __future__ import annotations

import numpy as np
from PIL import Image

from la4vla.schema.observation import Observation
from la4vla.schema.view import ViewProfile

TASK = "push"


class PlainMetaworld:
    """The package's environment and renderer as they come: 480 x 480 pixels with shadows and anti-aliasing.

    Args:
        view: What its pictures pass for; their side is its ``size_px``.
    """

    def __init__(self, view: ViewProfile) -> None:
        from metaworld import MT1

        made = MT1(f"{TASK}-v3", seed=4042)
        self.view = view
        self.simulator = made.train_classes[f"{TASK}-v3"](render_mode="rgb_array", camera_name="corner2")
        self.tasks = made.train_tasks

    def reset(self, seed: int) -> Observation:
        """Begin an episode."""
        self.simulator.set_task(self.tasks[seed])
        state, _ = self.simulator.reset()
        return self._seen(state)

    def step(self, action: np.ndarray) -> Observation:
        """Execute one action and render."""
        state, *_ = self.simulator.step(np.clip(action, -1, 1))
        return self._seen(state)

    def _seen(self, state: np.ndarray) -> Observation:
        """Rendered, turned by 180 degrees, cropped to the middle two thirds and resized, as the Evo-1 client does."""
        side = self.view.size_px
        image = np.rot90(self.simulator.render(), 2)[80:400, 80:400]
        small = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
        hand = state[:4].astype(np.float32)
        return Observation(hand, "Push the puck to a goal", "metaworld", {"corner2": small}, self.view.name)
