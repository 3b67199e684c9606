"""Scores have known answers, phases are where they were put, and the simulator's contacts are seen."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "segmentation"
HZ = 20.0


@pytest.fixture
def part(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def picked(witness):
    """Two seconds forward, two of rest in which the fingers close, two upward with something between them."""
    way = np.zeros((120, 3))
    way[:40, 0], way[80:, 2] = 0.01, 0.01
    touches = np.zeros((120, 2, 2), dtype=bool)
    touches[60:, 1] = True
    apart = np.full(120, 0.08)
    apart[50:60] = np.linspace(0.08, 0.04, 10)
    apart[60:] = 0.04
    motion = np.zeros((120, 2))
    motion[80:, 1] = 0.01
    return witness.Truth(
        hand=np.cumsum(way, axis=0) - way[0],
        turn=np.tile([1.0, 0, 0, 0], (120, 1)),
        apart=apart,
        touches=touches,
        robot=touches.any(axis=2),
        motion=motion,
        moved=np.zeros((120, 2, 3)),
    )


def test_phases_begin_and_end_where_they_were_put(part):
    phases, truth = part("phases"), picked(part("witness"))
    assert phases.boundaries(truth, HZ) == [pytest.approx(step, abs=1) for step in (40, 50, 60, 80)]
    assert not phases.driven(truth, HZ).any()


def test_what_is_moved_without_being_held_is_driven(part):
    phases, truth = part("phases"), picked(part("witness"))
    truth.touches[:, :, 1] = False
    driven = phases.driven(truth, HZ)
    assert driven[81:119, 1].all() and not driven[:79].any() and not driven[:, 0].any()


def test_a_turn_of_the_hand_is_one_boundary(part):
    steps = np.repeat([[0.02, 0, 0], [0, 0.02, 0], [0.02, 0.006, 0]], 30, axis=0)
    found = sorted(part("phases").turns(np.cumsum(steps, axis=0), HZ))
    assert found == [pytest.approx(30, abs=1), pytest.approx(60, abs=1)]


def test_contacts_that_chatter_are_steady(part):
    mask = np.array([0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0], dtype=bool)
    assert part("phases").spans(part("phases").steady(mask, 2.0)) == [(2, 9)]


def test_scores_have_known_answers(part):
    agreement = part("agreement")
    assert agreement.matched([10, 20, 30], [12, 13, 31, 50], 4) == 2
    assert agreement.matched([10, 11], [10], 4) == 1
    assert agreement.f1(2, 3, 4) == pytest.approx(4 / 7)
    assert agreement.wilson(8, 10) == (pytest.approx(0.4901, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert agreement.wilson(0, 0) == (0.0, 1.0)


def test_a_real_pick_is_held_and_a_reach_touches_nothing(part, tmp_path):
    witness, measure = part("witness"), part("measure")
    reader = witness.WitnessedMetaworld(tasks=["pick-place", "reach"], action_noise=0.1)
    score, segmenter = measure.Score(), measure.segmenter_of("metaworld")
    for episode, truth in measure.demonstrations(reader, 0, 1):
        held = truth.touches.all(axis=2).any(axis=1)
        assert len(truth.hand) == len(truth.motion) == len(episode)
        assert held.any() == truth.robot.any() == (episode.task == "pick-place")
        score.add(episode, truth, segmenter.segment(episode), segmenter.holding(episode))
    measure.write_rows(score.rows("metaworld"), tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "simulator,what,value,n,low,high"
    assert "metaworld,episodes,2,2,," in lines
    (status,) = [line for line in lines if line.startswith("metaworld,status,")]
    assert float(status.split(",")[2]) > 0.9
