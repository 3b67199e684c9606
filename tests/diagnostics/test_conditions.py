"""Policies that follow one input only, and what the conditions say about them."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from la4vla.data.shard_writer import write_manifest, write_shard
from la4vla.data.shards import Record, Shards
from la4vla.data.statistics import StatisticsStream
from la4vla.data.transforms import encode_jpeg
from la4vla.diagnostics.cases import DirectionCases, commanded
from la4vla.diagnostics.conditions import DirectionFollowing
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import ActionChunk
from la4vla.schema.statistics import Domain
from la4vla.schema.view import Shot, ViewProfile

ARM = Embodiment(
    name="arm",
    proprioception=("x_m", "y_m", "z_m"),
    actions=("dx", "dy", "dz", "grip"),
    cameras=("front",),
    control_hz=10.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    forward=(0, 1, 0),
    left=(-1, 0, 0),
    up=(0, 0, 1),
    action_form="increment",
)
WORDS = ("forward", "backward", "left", "right", "upward", "downward")
SHADES = {word: 20 + 40 * index for index, word in enumerate(WORDS)}
HORIZON = 8


def segment(task, word, take, frames):
    """A straight motion of 3 to 6 steps that starts on the side it moves away from; its image has a telling shade."""
    random = np.random.default_rng([WORDS.index(word), take])
    steps = 3 + take
    way = ARM.direction(word)
    actions = np.concatenate(
        [np.tile(way, (steps, 1)) + random.normal(scale=0.05, size=(steps, 3)), np.ones((steps, 1))], 1
    )
    place = -way + np.cumsum(actions[:, :3], axis=0) * 0.01
    image = encode_jpeg(np.full((8, 8, 3), SHADES[word], dtype=np.uint8))
    return Record(
        key=f"{task}_{word}_{take}",
        task=task,
        instruction=f"move {word} now",
        primitive="move",
        directions=(word,),
        parent=task,
        proprioception=place.astype(np.float32),
        actions=actions.astype(np.float32),
        frame_steps=np.array([1, 2]) if frames else np.empty(0, dtype=np.int64),
        images={"front": [image, image]} if frames else {},
    )


def build(folder, frames, words=WORDS, extra=(), body=ARM):
    records = [segment(*key, frames) for key in product(("push", "pull"), words, range(4))] + list(extra)
    write_shard(folder / "a.tar", records)
    streams = StatisticsStream(), StatisticsStream()
    for record in records:
        streams[0].update(record.key, record.proprioception)
        streams[1].update(record.key, record.actions)
    view = ViewProfile("front_8", (Shot("front", 8),), 8) if frames else None
    domain = Domain(body, view, streams[0].finish(), streams[1].finish())
    write_manifest(folder, name="held_out", unit="segment", domain=domain, shards=["a.tar"])
    return Shards(folder)


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    return build(tmp_path_factory.mktemp("la"), frames=False)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    return build(tmp_path_factory.mktemp("vla"), frames=True)


class Follower:
    """Moves in one direction for all of its horizon; ``way`` says which, given an observation."""

    def __init__(self, way):
        self.way = way
        self.observations = []
        self.draws = []

    def act(self, observations, draws=None):
        self.observations += observations
        self.draws += draws
        return [self.chunk(o, np.random.default_rng(draw)) for o, draw in zip(observations, draws, strict=True)]

    def chunk(self, observation, random):
        way = np.append(self.way(observation), 0.0) + random.normal(scale=0.02, size=4)
        return ActionChunk(np.tile(way, (HORIZON, 1)).astype(np.float32), "arm")


def by_instruction(observation):
    return ARM.direction(observation.instruction.split()[1])


def by_proprioception(observation):
    return -observation.proprioception


def by_image(observation):
    if not observation.images:
        return np.zeros(3)
    shade = observation.images["front"].mean()
    return ARM.direction(min(WORDS, key=lambda word: abs(SHADES[word] - shade)))


def rates(results):
    return {name: result["directional_alignment_rate"] for name, result in results.items()}


def test_one_who_follows_the_instruction_is_right_under_every_condition(seeing):
    results = DirectionFollowing(seeing, cases=24).run(Follower(by_instruction))
    assert set(results) == {
        "masked", "conflicting_proprioception", "paired", "unaligned", "conflicting_view", "demonstrated",
    }  # fmt: skip
    for result in results.values():
        assert result["cases"] == 24
        assert result["directional_alignment_rate"] == 1
        assert result["direction_consistency_score"] > 0.99
        assert result["separability_ratio"] > 3
        assert result["silhouette_score"] > 0.5


def test_one_who_follows_proprioception_is_found_out(blind):
    results = DirectionFollowing(blind, cases=24).run(Follower(by_proprioception))
    assert rates(results) == {"masked": 1, "demonstrated": 1, "conflicting_proprioception": 0}
    conflict = results["conflicting_proprioception"]
    assert conflict["direction_consistency_score"] < -0.99
    assert conflict["directional_alignment_rate_high"] == pytest.approx(0.138, abs=5e-4)  # Wilson, 0 of 24
    assert results["masked"]["directional_alignment_rate_low"] == pytest.approx(0.862, abs=5e-4)


def test_one_who_follows_the_image_is_found_out(seeing):
    measured = rates(DirectionFollowing(seeing, cases=24).run(Follower(by_image)))
    assert measured["paired"] == 1
    assert measured["conflicting_view"] == 0
    assert 0 < measured["unaligned"] < 0.7  # an image of another direction: opposite, or sideways and then a coin
    assert measured["masked"] < 0.9


def test_only_what_a_condition_names_is_changed(seeing):
    experiment = DirectionFollowing(seeing, cases=12)
    policy = Follower(by_instruction)
    experiment.run(policy)
    rounds = [policy.observations[start : start + 12] for start in range(0, 60, 12)]
    masked, proprioception, paired, unaligned, conflicting = rounds
    assert [policy.draws[:12]] * 5 == [policy.draws[start : start + 12] for start in range(0, 60, 12)]
    for one in rounds[1:]:
        assert [o.instruction for o in one] == [o.instruction for o in masked]
    for one in (paired, unaligned, conflicting):
        assert all(np.array_equal(a.proprioception, b.proprioception) for a, b in zip(one, masked, strict=True))
        assert all(o.view == "front_8" and set(o.images) == {"front"} for o in one)
    assert not any(o.images for o in masked + proprioception)
    for own, swapped in zip(masked, proprioception, strict=True):
        assert own.proprioception @ swapped.proprioception < -0.5


def test_cases_start_where_the_first_frame_is(seeing, blind):
    cases = DirectionCases(seeing, 12)
    np.testing.assert_array_equal(cases.rows, seeing.starts[cases.records] + 1)
    np.testing.assert_array_equal(cases.lengths, np.diff(seeing.starts)[cases.records] - 1)
    cases = DirectionCases(blind, 12)
    np.testing.assert_array_equal(cases.rows, blind.starts[cases.records])


def test_cases_are_balanced_over_tasks_and_directions(blind):
    cases = DirectionCases(blind, 24)
    assert set(Counter(cases.tasks).values()) == {12}
    assert set(Counter(cases.labels.tolist()).values()) == {4}
    assert len(set(cases.records.tolist())) == 24
    assert len(DirectionCases(blind, 1000)) == 48


def test_cases_follow_from_the_seed(blind):
    one, same, other = (DirectionCases(blind, 24, seed).records.tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_steps_beyond_the_segment_count_for_the_full_horizon_only(blind):
    class Returning(Follower):
        def chunk(self, observation, random):
            """Two steps as told, six steps back."""
            way = np.append(self.way(observation), 0.0)
            return ActionChunk(np.outer([1, 1, -1, -1, -1, -1, -1, -1], way).astype(np.float32), "arm")

    shards = blind
    experiment = DirectionFollowing(shards, cases=48)
    shortest = experiment.cases.lengths == 3
    result = experiment.run(Returning(by_instruction))["masked"]
    # of segments with 3, 4, 5 or 6 steps only the 3-step ones have more steps ahead than back
    assert result["directional_alignment_rate"] == pytest.approx(shortest.mean()) == 0.25
    assert result["full_horizon_directional_alignment_rate"] == 0
    assert result["full_horizon_direction_consistency_score"] < -0.99


def test_words_that_command_no_direction_make_no_case(tmp_path):
    cancelling = segment("push", "left", 0, False)
    fields = {**vars(cancelling), "key": "odd", "directions": ("left", "right")}
    silent = {**vars(cancelling), "key": "silent", "directions": ()}
    shards = build(tmp_path, False, extra=[Record(**fields), Record(**silent)])
    keys = {shards.records[record].key for record in DirectionCases(shards, 1000).records}
    assert len(keys) == 48
    assert not keys & {"odd", "silent"}


def test_two_words_command_the_diagonal():
    np.testing.assert_allclose(commanded(ARM, ("upward", "left", "left")), np.array([-1, 0, 1]) / np.sqrt(2))
    assert commanded(ARM, ("left", "right")) is None
    assert commanded(ARM, ()) is None


def test_a_set_without_directions_or_opposites_is_refused(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(ValueError, match="at least two directions"):
        DirectionCases(build(tmp_path / "one", False, words=("left",)))
    (tmp_path / "two").mkdir()
    shards = build(tmp_path / "two", False, words=("left", "upward"))
    with pytest.raises(ValueError, match="'conflicting_proprioception'"):
        DirectionFollowing(shards, 10).run(Follower(by_instruction))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"action_form": "absolute"}, "sums increments, and the actions of embodiment arm are absolute"),
        (
            {"translation": None},
            "Direction following needs facts that embodiment arm does not record: state translation",
        ),
        ({"forward": None, "left": None, "up": None}, "does not record: state forward"),
    ],
)
def test_a_body_that_does_not_tell_where_actions_lead_is_refused(tmp_path, facts, sentence):
    shards = build(tmp_path, False, body=replace(ARM, **facts))
    with pytest.raises(ValueError, match=sentence):
        DirectionFollowing(shards, 10)


def test_chunks_that_are_not_finite_are_refused(blind):
    with pytest.raises(ValueError, match="not finite in 12 of 12 cases of condition 'masked'"):
        DirectionFollowing(blind, 12).run(Follower(lambda observation: np.full(3, np.nan)))
