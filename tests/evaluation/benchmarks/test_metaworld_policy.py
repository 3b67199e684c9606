"""A real policy, untrained and tiny, in the real simulator."""

import numpy as np
import pytest
import torch

from la4vla.evaluation.benchmarks.metaworld import MetaworldBenchmark
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.statistics import Domain, Statistics
from la4vla.simulators.metaworld import METAWORLD, VIEWS

UNIT = Statistics(
    minimum=-np.ones(4), maximum=np.ones(4), mean=np.zeros(4), std=np.ones(4), q01=-np.ones(4), q99=np.ones(4), count=9
)


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    backbone = InternVL3("tiny", vision_layers=1, language_layers=1)
    head = FlowMatchingHead(backbone.width, horizon=8, layers=1, heads=2, hidden=16, integration_steps=2)
    return Policy(backbone, head, [Domain(METAWORLD, VIEWS["evo1_64"], UNIT, UNIT)])


def run(policy, **options):
    settings = {"tasks": ("push",), "episodes": 4, "view": "evo1_64", "max_steps": 18, "replan_every": 8}
    benchmark = MetaworldBenchmark(**{**settings, "environments": 3, "progress": False, **options})
    return benchmark.run(policy, "tiny").trajectories


def test_a_policy_acts_equally_whatever_the_number_of_processes(policy):
    alone, shared = run(policy, processes=0), run(policy, processes=2)
    assert [t.steps for t in alone] == [18] * 4
    assert len({t.actions.tobytes() for t in alone}) == 4
    for ours, theirs in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(ours.actions, theirs.actions)


def test_the_view_must_be_the_one_of_training(policy):
    with pytest.raises(ValueError, match="trained on view 'evo1_64'"):
        run(policy, view="evo1_96", processes=0, episodes=1)
    assert len(run(policy, view=None, processes=0, episodes=1)) == 1  # blind is always possible
