"""What is disturbed, how much, and that it is always the same."""

from itertools import pairwise

import numpy as np
import pytest
from point_benchmark import PointBenchmark
from point_world import PointWorld, Seeker

from la4vla.evaluation.perturbations import (
    Blur,
    Brightness,
    CameraShift,
    Contrast,
    DistractorInstruction,
    Disturbance,
    GaussianNoise,
    Occlusion,
)
from la4vla.evaluation.perturbed import PerturbedEnvironment

IMAGE = np.random.default_rng(0).integers(60, 200, (64, 64, 3), dtype=np.uint8)
ONES_ON_IMAGES = [GaussianNoise, Brightness, Contrast, Blur, Occlusion]


def disturbed(kind, level, seed=0, step=0):
    episode, moment = np.random.default_rng(seed), np.random.default_rng([seed, step])
    return kind().image(IMAGE, level, episode, moment)


@pytest.mark.parametrize("kind", ONES_ON_IMAGES)
def test_a_higher_level_disturbs_more(kind):
    assert len(kind().levels) >= 3
    distances = [np.abs(disturbed(kind, level).astype(float) - IMAGE).mean() for level in kind().levels]
    assert 0 < distances[0]
    assert all(low < high for low, high in pairwise(distances))
    image = disturbed(kind, kind().levels[0])
    assert (image.shape, image.dtype) == (IMAGE.shape, np.uint8)


def test_levels_mean_what_they_say():
    grey = np.full((128, 128, 3), 128, dtype=np.uint8)
    draws = np.random.default_rng(0), np.random.default_rng(1)
    noise = GaussianNoise().image(grey, 12, *draws).astype(float) - 128
    assert noise.std() == pytest.approx(12, rel=0.02)
    assert abs(noise.mean()) < 0.2
    shifts = {int(Brightness().image(grey, 0.2, np.random.default_rng(seed), draws[1])[0, 0, 0]) for seed in range(9)}
    assert shifts == {128 - 51, 128 + 51}
    assert IMAGE.std() * 0.5 == pytest.approx(disturbed(Contrast, 0.5).std(), rel=0.02)
    for level in Occlusion().levels:
        assert np.mean(disturbed(Occlusion, level) != IMAGE) == pytest.approx(level, rel=0.15)


def episode(perturbation, level, seed=7):
    world = PerturbedEnvironment(PointWorld("near"), Disturbance(perturbation, level), ("Go far",))
    seen = [world.reset(seed)]
    seen += [world.step(np.full(3, 0.05)).observation for _ in range(4)]
    return world, seen


@pytest.mark.parametrize("kind", ONES_ON_IMAGES)
def test_a_disturbance_follows_from_seed_and_step(kind):
    level = kind().levels[-1]
    (world, one), (_, two), (_, other) = episode(kind(), level), episode(kind(), level), episode(kind(), level, seed=8)
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours.images["top"], theirs.images["top"])
        np.testing.assert_array_equal(ours.proprioception, theirs.proprioception)
    np.testing.assert_array_equal(world.look().images["top"], one[-1].images["top"])  # a second look sees the same
    if kind is GaussianNoise:  # fresh at every step, other in every episode
        assert not np.array_equal(one[0].images["top"], one[1].images["top"])
        assert not np.array_equal(one[0].images["top"], other[0].images["top"])


def test_the_world_itself_is_not_disturbed():
    world, seen = episode(GaussianNoise(), 100)
    calm = PointWorld("near")
    calm.reset(7)
    for observation in seen[1:]:
        step = calm.step(np.full(3, 0.05))
        np.testing.assert_array_equal(observation.proprioception, step.observation.proprioception)
        assert observation.view == "top"
    world.close()
    assert world.environment.task == "closed"


def test_nothing_is_disturbed_that_nobody_looks_at():
    world, _ = episode(GaussianNoise(), 50)
    assert world.step(np.zeros(3), look=False).observation.images == {}


def test_a_distractor_replaces_the_instruction_throughout_an_episode():
    _, seen = episode(DistractorInstruction(), 1.0)
    assert {observation.instruction for observation in seen} == {"Go far"}
    said = [episode(DistractorInstruction(), 0.5, seed)[1] for seed in range(30)]
    assert all(len({observation.instruction for observation in one}) == 1 for one in said)
    assert 8 <= sum(one[0].instruction == "Go far" for one in said) <= 22


def test_a_camera_moves_by_its_level_and_equally_for_everyone():
    shift = np.array(CameraShift().camera_shift_m("reach", 0.05))
    assert np.linalg.norm(shift) == pytest.approx(0.05)
    np.testing.assert_allclose(np.array(CameraShift().camera_shift_m("reach", 0.1)), 2 * shift)
    assert not np.allclose(CameraShift().camera_shift_m("push", 0.05), shift)
    assert GaussianNoise().camera_shift_m("reach", 50) is None


def test_a_benchmark_runs_disturbed_in_workers_as_here():
    disturbance = Disturbance(DistractorInstruction(), 1.0)
    here = PointBenchmark().run(Seeker(), disturbance=disturbance)
    there = PointBenchmark(processes=1).run(Seeker(), disturbance=disturbance)
    assert here.outcomes == there.outcomes
    assert {outcome.perturbation for outcome in here.outcomes} == {"distractor_instruction 1"}
    with pytest.raises(ValueError, match="No other task of point shares the scene of moody"):
        PointBenchmark(tasks=["near", "moody"]).run(Seeker(), disturbance=disturbance)


@pytest.mark.parametrize(("kind", "levels"), [(Blur, []), (Contrast, [0.5, 1.5]), (GaussianNoise, [0])])
def test_levels_that_mean_nothing_are_refused(kind, levels):
    with pytest.raises(ValueError, match=r"Levels of .* must lie above 0"):
        kind(levels)
