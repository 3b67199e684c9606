"""What is shown of a segment and around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la4vla.construction.export import episode_record, segment_record
from la4vla.construction.verification.footage import Footage
from la4vla.data.shard_writer import write_manifest, write_shard
from la4vla.data.shards import Shards
from la4vla.data.statistics import StatisticsStream
from la4vla.data.transforms import encode_jpeg
from la4vla.schema.episode import Episode, Segment
from la4vla.schema.primitives import Primitive
from la4vla.schema.statistics import Domain
from la4vla.schema.view import Shot, ViewProfile


@pytest.fixture
def arm(tiny_arm):
    return replace(tiny_arm, control_hz=10.0, forward=(0.0, 1.0, 0.0), left=(-1.0, 0.0, 0.0), gripper_closed=0.5)


@pytest.fixture
def episode(arm) -> Episode:
    """100 steps; every number of step n is n / 100, and its frame, every second step, is n all over."""
    numbers = np.repeat(np.arange(100, dtype=np.float32)[:, None] / 100, 4, axis=1)
    frames = [np.full((8, 8, 3), n, dtype=np.uint8) for n in range(0, 100, 2)]
    return Episode("e", "task", "do it", arm, numbers, numbers, {"corner2": frames}, np.arange(0, 100, 2))


@pytest.fixture
def make(tmp_path, episode):
    """A set of the episode's segments between ``cuts``, or of the whole episode."""

    def make(name: str, *cuts: tuple[int, int]) -> Shards:
        jpegs = {"corner2": [encode_jpeg(frame, 100) for frame in episode.frames["corner2"]]}
        segments = [Segment(a, b, Primitive.MOVE, f"Move {a}") for a, b in cuts]
        records = [segment_record(episode, s, jpegs) for s in segments] or [episode_record(episode, jpegs)]
        write_shard(tmp_path / name / "00000.tar", records)
        stream = StatisticsStream()
        stream.update("e", episode.actions)
        known = stream.finish()
        view = ViewProfile("tiny", (Shot("corner2", 8),), size_px=8)
        write_manifest(
            tmp_path / name, name=name, unit="segment" if cuts else "episode",
            domain=Domain(episode.embodiment, view, known, known), shards=["00000.tar"],
        )  # fmt: skip
        return Shards(tmp_path / name)

    return make


def shown(footage: Footage, key: str):
    clip = footage.clip(key)
    steps = [round(float(np.mean(s.frame(f, "corner2")))) for s, f in clip.sources]
    np.testing.assert_array_equal(clip.frame_steps, steps)  # every frame shows the step that it names
    return clip.first, clip.start, clip.stop, clip.last


def test_abutting_neighbours_show_what_lies_around(make):
    footage = Footage(make("vla", (0, 21), (21, 40), (40, 60), (70, 90)), context_s=2.5)
    assert shown(footage, "e-0021") == (0, 21, 40, 60)  # two neighbours, one wholly, one to its end before the gap
    assert shown(footage, "e-0040") == (15, 40, 60, 60)  # nothing is recorded from 60 to 70
    assert shown(footage, "e-0070") == (70, 70, 90, 90)
    assert shown(Footage(footage.segments, context_s=0), "e-0021") == (21, 21, 40, 40)


def test_a_whole_episode_beside_reaches_everywhere(make):
    footage = Footage(make("vla", (0, 21), (70, 90)), [make("whole")], context_s=1.5)
    assert shown(footage, "e-0070") == (55, 70, 90, 100)
    assert shown(footage, "e-0000") == (0, 0, 21, 36)


def test_the_path_lies_in_the_robots_frame_and_the_gripper_between_closed_and_open(make):
    clip = Footage(make("vla", (60, 80)), context_s=0).clip("e-0060")
    # hand at (0.6, 0.6, 0.6): forward is y, left is minus x
    np.testing.assert_allclose(clip.position[0], [0.6, -0.6, 0.6], atol=1e-6)
    np.testing.assert_allclose(clip.opening[[0, -1]], [0.2, 0.58], atol=1e-6)
    assert clip.to_json()["opening"][0] == 0.2


def test_an_unknown_segment_is_refused_in_a_sentence(make):
    with pytest.raises(LookupError, match="no segment 'e-0001'"):
        Footage(make("vla", (60, 80))).clip("e-0001")


@pytest.mark.parametrize(
    "facts",
    [{"position": None}, dict.fromkeys(("forward", "left", "up", "gripper_open", "gripper_closed"))],
)
def test_what_a_body_does_not_record_is_not_shown(make, arm, facts):
    footage = Footage(make("vla", (60, 80)), context_s=0)
    footage.embodiment = replace(arm, **facts)
    shown = footage.clip("e-0060").to_json()
    assert shown["position"] is None and (shown["first"], shown["last"]) == (60, 80)
    assert (shown["opening"] is None) == ("gripper_open" in facts)
