"""Several processes train what one trains, go on where they were killed, and may be more or fewer then."""

from __future__ import annotations

import csv

import pytest
from safetensors.torch import load_file

from la4vla.models.policy import Policy
from la4vla.training.recipe import TRAINER_DEFAULTS

STRATEGIES = {
    "ddp": "trainer: {strategy: ddp_find_unused_parameters_true}",
    "fsdp": "trainer: {strategy: {class_path: la4vla.training.full_shard.FullShard}}",
    "parts": "trainer: {strategy: {class_path: la4vla.training.full_shard.FullShard, init_args: "
    "{sharded_checkpoints: true}}}",
}


@pytest.fixture
def words(workspace, mixed):
    for name, text in STRATEGIES.items():
        (workspace / f"{name}.yaml").write_text(text)
    return lambda strategy, name: (mixed, f"{strategy}.yaml", f"name={name}")


def logged(run, column: str) -> dict[int, str]:
    """A column by step, as text, since the last start of a run."""
    with sorted(run.glob("csv/*/metrics.csv"))[-1].open() as file:
        return {int(row["step"]): row[column] for row in csv.DictReader(file) if row.get(column)}


def losses(workspace, name: str) -> dict[int, float]:
    return {step: float(loss) for step, loss in logged(workspace / "runs" / name, "loss").items()}


def test_any_number_of_processes_trains_the_same_and_goes_on_exactly(workspace, words, job):
    job(*words("ddp", "one"), ranks=1)
    job(*words("ddp", "two"), ranks=2)
    job(*words("fsdp", "shards"), ranks=2)
    one = losses(workspace, "one")
    assert len(one) == 4
    for name in ("two", "shards"):
        assert losses(workspace, name) == pytest.approx(one, rel=1e-3), name
    policies = [load_file(workspace / "runs" / name / "policy/model.safetensors") for name in ("one", "two", "shards")]
    for other in policies[1:]:
        assert other.keys() == policies[0].keys()
        # Adam divides a gradient by its own size: where it is almost nothing its sign may differ, in few weights.
        assert all((other[name] - weight).abs().float().mean() < 1e-5 for name, weight in policies[0].items())

    last = Policy.load("runs/shards/checkpoints/best.ckpt").state_dict()
    assert last.keys() == policies[2].keys()

    for strategy, whole, ranks in (("ddp", "two", 2), ("parts", "shards", 2), ("fsdp", "one", 1)):
        job(*words(strategy, strategy), ranks=2, dies_at=3)
        assert not (workspace / "runs" / strategy / "policy").exists()
        halfway = workspace / "runs" / strategy / "checkpoints/last.ckpt"
        if strategy == "parts":
            with pytest.raises(ValueError, match=r"last\.ckpt is in parts, one of each process"):
                Policy.load(halfway)
        else:
            assert Policy.load(halfway).provenance["results"] == {"steps": 2}
        job(*words(strategy, strategy), ranks=ranks)
        rest = losses(workspace, strategy)
        assert set(rest) == {2, 3}, "the run began anew instead of going on"
        rest_of_whole = {step: loss for step, loss in losses(workspace, whole).items() if step > 1}
        # To the last bit, unless the number of processes changed and with it the order of sums.
        assert rest == (rest_of_whole if ranks == 2 else pytest.approx(rest_of_whole, rel=1e-3))


def test_two_processes_without_a_word_take_the_strategy_that_looks_for_what_has_no_gradient(workspace, mixed, job):
    job(mixed, "name=two", ranks=2)
    assert len(losses(workspace, "two")) == 4


def test_one_device_unless_asked_for():
    assert TRAINER_DEFAULTS["devices"] == 1
