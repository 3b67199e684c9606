"""One control step of LIBERO's simulator, each moment computed once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np


def advance(simulator: Any, action: np.ndarray) -> bool:
    """Execute one action ``(7,)`` of robosuite's controller and say whether the goal holds, as its ``step`` does.

    The package computes each of the 25 moments of a control step three times over: before the controller, within it,
    and once more in MuJoCo's step. Here MuJoCo's step is parted around the controller instead, which takes 0.6 of the
    time. The trajectory is the same up to the tolerance of the contact solver, which begins from its last solution and
    so had two more tries: within 1e-6 m or rad over a whole demonstration. Observables are not computed.
    """
    mujoco = import_module("mujoco")  # late: see camera.py on what must be loaded before it
    model, data = simulator.sim.model._model, simulator.sim.data._data
    simulator.timestep += 1
    with _moment_known(simulator.sim):
        for moment in range(int(simulator.control_timestep / simulator.model_timestep)):
            mujoco.mj_step1(model, data)
            simulator._pre_action(action, moment == 0)
            mujoco.mj_step2(model, data)
    simulator.cur_time += simulator.control_timestep
    simulator._post_action(action)
    return bool(simulator._check_success())


@contextmanager
def _moment_known(sim: Any) -> Iterator[None]:
    """Within, the controller's request to compute the moment anew is not heard."""
    sim.forward = _nothing
    try:
        yield
    finally:
        del sim.forward


def _nothing() -> None:
    return None
