"""A real policy, untrained and tiny, under every condition."""

import torch

from la4vla.data.shards import Shards
from la4vla.diagnostics.conditions import DirectionFollowing
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy


def test_an_untrained_policy_has_finite_metrics_that_the_seed_fixes(tiny_shards, tmp_path):
    folder = tiny_shards(tmp_path / "set", frames=True, records=48)
    torch.manual_seed(0)
    backbone = InternVL3("tiny", vision_layers=1, language_layers=1)
    head = FlowMatchingHead(backbone.width, horizon=8, layers=1, heads=2, hidden=16, integration_steps=2)
    policy = Policy(backbone, head, [Shards(folder).manifest.domain])
    results = DirectionFollowing(str(folder), cases=18).run(policy)
    assert set(results) > {"masked", "conflicting_proprioception", "paired", "unaligned", "conflicting_view"}
    for result in results.values():
        assert result["cases"] == 18
        assert 0 <= result["directional_alignment_rate_low"] <= result["directional_alignment_rate"]
        assert all(torch.tensor(value).isfinite() for value in result.values())
    assert results == DirectionFollowing(str(folder), cases=18).run(policy)
