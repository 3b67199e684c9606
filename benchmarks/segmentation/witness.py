"""Demonstrations with what the simulator knows and the segmenter does not: contacts and motions of objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from la4vla.data.readers.libero_experts import LiberoExperts
from la4vla.data.readers.metaworld_experts import MetaworldExperts
from la4vla.data.readers.scripted_experts import ScriptedExperts, Stage
from la4vla.schema.episode import Episode
from la4vla.schema.observation import Observation, Step

# By simulator, the joints that move the two fingers.
FINGER_JOINTS = {
    "metaworld": ("r_close", "l_close"),
    "libero": ("gripper0_finger_joint1", "gripper0_finger_joint2"),
}
AXIS_M = 0.05  # what a radian of an object's turn weighs as motion: half the breadth of what is handled


@dataclass(frozen=True)
class Truth:
    """What the simulator says at each of ``T`` steps, in the state before that step's action.

    ``K`` objects: the bodies with a joint of their own that are not the robot's, a drawer or a button among them.

    Attributes:
        hand: ``(T, 3)`` metres, the robot's hand in the world.
        turn: ``(T, 4)`` the hand's orientation, quaternion wxyz.
        apart: ``(T,)`` metres between the two fingers' bodies.
        touches: ``(T, K, 2)`` bool: each finger touches each object.
        robot: ``(T, K)`` bool: any part of the robot touches the object.
        motion: ``(T, K)`` metres a step: how far the object moves in the step, with 5 cm for each radian it turns.
        moved: ``(T, K, 3)`` metres: displacement of the object's centre in the step.
    """

    hand: np.ndarray
    turn: np.ndarray
    apart: np.ndarray
    touches: np.ndarray
    robot: np.ndarray
    motion: np.ndarray
    moved: np.ndarray


class WitnessedStage:
    """A simulator that notes at each moment what touches what and where everything is."""

    def __init__(self, stage: Stage, joints: tuple[str, str]) -> None:
        self.stage = stage
        self.max_steps = stage.max_steps
        # The protocol has no simulator, since rollouts need none; both stages that are measured keep theirs here.
        simulator: Any = stage._simulator  # type: ignore[attr-defined]
        # LIBERO's package wraps MuJoCo's own objects, and makes new ones at a reset.
        self._model = lambda: simulator.sim.model._model if hasattr(simulator, "sim") else simulator.model
        self._data = lambda: simulator.sim.data._data if hasattr(simulator, "sim") else simulator.data
        self._joints = joints
        self.notes: list[dict[str, np.ndarray]] = []

    def reset(self, seed: int, look: bool = True) -> Observation:
        """Begin an episode and its notes."""
        observation = self.stage.reset(seed, look)
        self.notes = [self._note(observation)]
        return observation

    def step(self, action: np.ndarray, look: bool = True) -> Step:
        """Execute one action and note what became of it."""
        step = self.stage.step(action, look)
        self.notes.append(self._note(step.observation))
        return step

    def look(self) -> Observation:
        """The present moment."""
        return self.stage.look()

    def close(self) -> None:
        """Free the simulator."""
        self.stage.close()

    @property
    def privileged(self) -> np.ndarray:
        """The simulator's state."""
        return self.stage.privileged

    def _note(self, observation: Observation) -> dict[str, np.ndarray]:
        model, data = self._model(), self._data()
        fingers = [model.joint(name) for name in self._joints]
        roots = [int(model.jnt_bodyid[joint.id]) for joint in fingers]
        robot = int(model.body_rootid[roots[0]])
        objects = movable(model, robot)
        touches = np.zeros((len(objects), 2), dtype=bool)
        touched = np.zeros(len(objects), dtype=bool)
        row = {body: k for k, body in enumerate(objects)}
        for contact in data.contact:
            bodies = [int(model.geom_bodyid[geom]) for geom in (contact.geom1, contact.geom2)]
            for own, other in (bodies, bodies[::-1]):
                k = row.get(int(model.body_weldid[other]))
                if k is None or int(model.body_rootid[own]) != robot:
                    continue
                touched[k] = True
                for finger, root in enumerate(roots):
                    touches[k, finger] |= root in lineage(model, own)
        hand = int(model.body_parentid[roots[0]])
        return {
            "hand": observation.proprioception[:3].astype(np.float64),
            "turn": data.xquat[hand].copy(),
            "apart": np.linalg.norm(data.xpos[roots[0]] - data.xpos[roots[1]]),
            "touches": touches,
            "robot": touched,
            "centres": data.xipos[objects].copy(),
            "turns": data.xquat[objects].copy(),
        }


def movable(model: Any, robot: int) -> list[int]:
    """Bodies that have a joint of their own and belong to no robot."""
    own = [int(body) for body in np.unique(model.jnt_bodyid)]
    return [body for body in own if int(model.body_rootid[body]) != robot]


def lineage(model: Any, body: int) -> set[int]:
    """``body`` and everything it hangs on."""
    found = set()
    while body:
        found.add(body)
        body = int(model.body_parentid[body])
    return found


class WitnessedMetaworld(MetaworldExperts):
    """Meta-World's experts on witnessed stages."""

    def stage(self, task: str, max_steps: int) -> Any:
        """A witnessed simulator of ``task``."""
        return WitnessedStage(super().stage(task, max_steps), FINGER_JOINTS["metaworld"])


class WitnessedLibero(LiberoExperts):
    """LIBERO's expert on witnessed stages."""

    def stage(self, task: str, max_steps: int) -> Any:
        """A witnessed simulator of ``task``."""
        return WitnessedStage(super().stage(task, max_steps), FINGER_JOINTS["libero"])


def witnessed(reader: ScriptedExperts, task: str, index: int) -> tuple[Episode, Truth]:
    """Demonstration number ``index`` of ``task`` and the truth about it."""
    episode = reader.read((task, index), False, Counter())
    stage: Any = reader._stage(task)
    return episode, truth(stage.notes, len(episode))


def truth(notes: Sequence[dict[str, np.ndarray]], length: int) -> Truth:
    """The first ``length`` notes as arrays; there is one note more than there are steps."""
    all_of = {name: np.stack([note[name] for note in notes[: length + 1]]) for name in notes[0]}
    moved = np.diff(all_of["centres"], axis=0)
    cosine = np.abs(np.sum(all_of["turns"][1:] * all_of["turns"][:-1], axis=-1)).clip(0.0, 1.0)
    motion = np.linalg.norm(moved, axis=-1) + AXIS_M * 2.0 * np.arccos(cosine)
    kept = {name: all_of[name][:length] for name in ("hand", "turn", "apart", "touches", "robot")}
    return Truth(**kept, motion=motion, moved=moved)
