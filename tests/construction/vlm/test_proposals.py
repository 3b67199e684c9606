"""The form of answers, and times at the edges of what can be true."""

from __future__ import annotations

import json

import pytest

from la4vla.construction.vlm.proposals import BadAnswer, Timing, answer_schema, read_proposals


def answer(*spans: tuple[float, float]) -> str:
    row = {"subaction": "move", "instruction": "move left while holding nothing"}
    return json.dumps({"segments": [{**row, "start": a, "end": b} for a, b in spans]})


def spans(text: str, timing: Timing | None = None, duration_s: float = 5.0, control_hz: float = 10.0):
    read = read_proposals(text, duration_s, control_hz, timing or Timing())
    return [(proposal.start, proposal.end) for proposal in read]


@pytest.mark.parametrize(
    "times",
    [
        [(0.0, 2.0), (2.0, 5.0)],
        [(0.9, 2.0), (3.0, 4.1)],  # gaps just short of the longest
        [(0.0, 5.5)],  # a little beyond the end
        [(0.0, 4.8), (4.8, 5.2)],
    ],
)
def test_times_that_can_be_true(times):
    assert spans(answer(*times)) == times


@pytest.mark.parametrize(
    ("times", "objection"),
    [
        ([(1.1, 5.0)], r"nothing covers 0\.00 to 1\.10 s"),
        ([(0.0, 3.8)], r"nothing covers 3\.80 to 5\.00 s"),
        ([(2.0, 5.0), (0.0, 2.0)], "segment 2 starts at 0.00 s, before segment 1 ends at 5.00 s"),
        ([(3.0, 1.0)], "shorter than"),
        ([(0.0, 2.11), (2.0, 5.0)], "segment 2 starts at 2.00 s, before segment 1 ends at 2.11 s"),
        ([(0.0, 4.95), (4.9, 5.0)], "segment 2 lasts from 4.93 to 5.00 s"),
        ([(0.0, 5.0), (5.1, 5.4)], "segment 2 lasts from 5.10 to 5.40 s"),  # all of it beyond the end
        ([(0.0, 5.6)], "segment 1 leaves the episode, which lasts from 0 to 5.00 s"),
        ([(-1.0, 5.0)], "leaves the episode"),
    ],
)
def test_times_that_cannot(times, objection):
    with pytest.raises(BadAnswer, match=objection):
        spans(answer(*times))


def test_neighbours_may_overlap_by_a_step_and_both_give_way():
    assert spans(answer((0.0, 2.1), (2.0, 3.5), (3.46, 5.0))) == [(0.0, 2.05), (2.05, 3.48), (3.48, 5.0)]
    assert spans(answer((0.0, 2.51), (2.5, 5.0)), control_hz=80.0) == [(0.0, 2.505), (2.505, 5.0)]
    with pytest.raises(BadAnswer, match="before segment 1 ends"):
        spans(answer((0.0, 2.52), (2.5, 5.0)), control_hz=80.0)


def test_a_segment_has_at_least_one_step():
    with pytest.raises(BadAnswer, match=r"shorter than 0\.5 s"):
        spans(answer((0.0, 0.3), (0.3, 5.0)), control_hz=2.0)


def test_all_objections_are_told_at_once():
    with pytest.raises(BadAnswer, match=r"segment 1 lasts.*segment 3 starts.*nothing covers"):
        spans(answer((0.0, 0.1), (0.1, 3.0), (2.5, 3.5)))


def test_settings_decide():
    assert spans(answer((2.0, 5.0)), Timing(longest_gap_s=2.0)) == [(2.0, 5.0)]
    with pytest.raises(ValueError, match="cannot be negative"):
        Timing(overhang_s=-1.0)


def test_no_time_is_not_a_number():
    with pytest.raises(BadAnswer, match=r"segments\.0\.end"):
        spans('{"segments": [{"subaction": "wait", "instruction": "wait", "start": 0, "end": NaN}]}')


def test_one_bracket_over_and_over_is_an_answer_that_cannot_be_used():
    for text in ("[" * 8000, '{"segments":' * 2000):
        with pytest.raises(BadAnswer, match="no whole JSON"):
            spans(text)


def test_half_a_character_is_no_instruction():
    text = answer((0.0, 5.0)).replace("nothing", "nothing \\ud83d")
    with pytest.raises(BadAnswer, match=r"segments\.0\.instruction: .*half a character"):
        spans(text)


def test_the_schema_is_one_that_strict_servers_take():
    def objects(node):
        if isinstance(node, dict):
            if "properties" in node:
                yield node
            for child in node.values():
                yield from objects(child)

    found = list(objects(answer_schema()))
    assert len(found) == 2
    for node in found:
        assert node["required"] == list(node["properties"]) and node["additionalProperties"] is False
    assert "title" not in json.dumps(answer_schema())
