"""Draws and chunks."""

import numpy as np
import pytest
from point_world import PointWorld, Seeker

from la4vla.rollout.agent import ChunkingAgent, Slot
from la4vla.rollout.random_agent import RandomAgent
from la4vla.rollout.replay_agent import ReplayAgent
from la4vla.rollout.runner import rollout
from la4vla.rollout.zero_agent import ZeroAgent
from la4vla.schema.observation import ActionChunk


def test_draws_differ_by_task_seed_and_query_and_never_change():
    draws = {Slot(task, seed, query).draw for task in ("a", "b") for seed in (0, 1, 11) for query in (0, 1, 11)}
    assert len(draws) == 18
    assert all(0 <= draw < 2**63 for draw in draws)
    assert Slot("reach", 3, 1).draw == 6681535741118251973


def test_a_policy_gets_one_draw_for_each_slot():
    policy = Seeker()
    slots = [Slot("near", 1, 0), Slot("far", 2, 3)]
    observation = PointWorld("near").reset(1)
    actions = ChunkingAgent(policy, 3).act([observation, observation], slots)
    assert policy.draws == [slot.draw for slot in slots]
    assert [a.shape for a in actions] == [(3, 3), (3, 3)]


def test_replan_every_beyond_the_horizon_is_refused():
    with pytest.raises(ValueError, match="replan_every is 9, but the policy's chunks hold 8 actions"):
        ChunkingAgent(Seeker(), 9).act([PointWorld("near").reset(1)], [Slot("near", 1, 0)])
    with pytest.raises(ValueError, match="at least 1; got 0"):
        ChunkingAgent(Seeker(), 0)


def test_a_chunk_for_another_body_is_refused():
    class Foreign(Seeker):
        def act(self, observations, draws=None):
            return [ActionChunk(np.zeros((8, 7)), "droid") for _ in observations]

    with pytest.raises(ValueError, match="'point', the policy's chunk of 'droid'"):
        ChunkingAgent(Foreign(), 2).act([PointWorld("near").reset(1)], [Slot("near", 1, 0)])


def test_random_actions_follow_from_the_slot_alone():
    agent = RandomAgent(action_dim=3, limit=0.5, replan_every=4)
    observation = PointWorld("near").reset(1)
    one, two = agent.act([observation] * 2, [Slot("near", 1, 0), Slot("near", 1, 1)])
    assert one.shape == (4, 3)
    assert np.abs(one).max() <= 0.5
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, agent.act([observation], [Slot("near", 1, 0)])[0])


def test_the_zero_agent_stays_where_it_is():
    (trajectory,) = rollout([("near", 1)], PointWorld, ZeroAgent(3, replan_every=4), max_steps=6)
    assert (trajectory.success, trajectory.steps) == (False, 6)
    assert not trajectory.actions.any()


def test_a_replay_repeats_what_was_done():
    jobs = [("near", 1), ("far", 2)]
    done = rollout(jobs, PointWorld, ChunkingAgent(Seeker(), 5), max_steps=40)
    assert all(trajectory.success for trajectory in done)
    agent = ReplayAgent({(t.task, t.seed): t.actions for t in done}, replan_every=4)
    for ours, theirs in zip(rollout(jobs, PointWorld, agent, max_steps=40), done, strict=True):
        assert ours.success
        np.testing.assert_array_equal(ours.actions, theirs.actions)
    assert agent.act([PointWorld("near").reset(1)], [Slot("near", 1, 99)])[0].any() == np.False_
    assert agent.identity != ReplayAgent({("near", 1): done[0].actions}).identity
    with pytest.raises(LookupError, match="no recording of task 'near', seed 7, among the 2"):
        agent.act([PointWorld("near").reset(7)], [Slot("near", 7, 0)])
