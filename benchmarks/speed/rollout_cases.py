"""What is timed in each simulator: its plain loop, its environment and the tiny policy that acts in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from plain_libero import TASK as LIBERO_TASK
from plain_libero import PlainLibero
from plain_metaworld import TASK as METAWORLD_TASK
from plain_metaworld import PlainMetaworld

from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.rollout.agent import ChunkingAgent
from la4vla.rollout.environment import Environment
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import ViewProfile
from la4vla.simulators import libero_body, metaworld
from la4vla.simulators.libero import LiberoEnvironment
from la4vla.simulators.metaworld import MetaworldEnvironment


class Plain(Protocol):
    """An environment that is looked at after every step."""

    def reset(self, seed: int) -> Observation:
        """Begin an episode."""
        ...

    def step(self, action: np.ndarray) -> Observation:
        """Execute one action and look."""
        ...


@dataclass(frozen=True)
class Case:
    """One simulator, in which everybody plays one task."""

    embodiment: Embodiment
    task: str
    plain: Callable[[ViewProfile], Plain]
    environment: Callable[..., Environment]
    light: ViewProfile
    stock_view: ViewProfile
    replan_every: int
    environments: int

    @property
    def stock(self) -> ViewProfile:
        """Light's pictures, made the expensive way."""
        return replace(self.stock_view, name=self.light.name, size_px=self.light.size_px)

    def agent(self) -> ChunkingAgent:
        """The tiny policy."""
        torch.manual_seed(0)
        proprioception, actions = (unit(len(x)) for x in (self.embodiment.proprioception, self.embodiment.actions))
        views = len(self.light.cameras)
        backbone = InternVL3("tiny", pixel_shuffle=0.5, vision_layers=3, language_layers=2, views=views)
        head = FlowMatchingHead(backbone.width, 16, 8, 8, layers=4, heads=6, hidden=256, dropout=0.0)
        domain = Domain(self.embodiment, self.light, proprioception, actions)
        return ChunkingAgent(Policy(backbone, head, [domain]), self.replan_every)


CASES = {
    "metaworld": Case(
        embodiment=metaworld.METAWORLD,
        task=METAWORLD_TASK,
        plain=PlainMetaworld,
        environment=MetaworldEnvironment,
        light=metaworld.VIEWS["evo1_64"],
        stock_view=metaworld.VIEWS["evo1"],
        replan_every=15,
        environments=16,
    ),
    "libero": Case(
        embodiment=libero_body.LIBERO,
        task=LIBERO_TASK,
        plain=PlainLibero,
        environment=LiberoEnvironment,
        light=libero_body.VIEWS["libero_64"],
        stock_view=libero_body.VIEWS["libero_256"],
        replan_every=8,
        environments=8,
    ),
}


def unit(dimensions: int) -> Statistics:
    """Numbers that lie between -1 and 1."""
    one = np.ones(dimensions)
    return Statistics(minimum=-one, maximum=one, mean=0 * one, std=one, q01=-one, q99=one, count=2)
