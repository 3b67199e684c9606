"""Names of runs, predecessors that are not finished, and those that cannot be had."""

import json
from pathlib import Path

import pytest

from la4vla import fit
from la4vla.models.policy import Policy
from la4vla.training.chain import decisive, finished_policy, run_name
from la4vla.training.module import PolicyModule
from la4vla.training.recipe import Recipe
from la4vla.training.report import stages


def test_plain_recipes_give_their_name():
    assert run_name(["recipes/la_vla.yaml"]) == "la_vla"
    assert run_name(["recipes/la.yaml", "name=other", "runs=elsewhere"]) == "la"


def test_after_is_part_of_the_name():
    assert run_name(["recipes/finetune/metaworld.yaml", "after=recipes/mixpt.yaml"]) == "metaworld_after_mixpt"
    assert run_name(["recipes/finetune/metaworld.yaml", "after=null"]) == "metaworld_base"
    after = "after=runs/la-3f2a1c/checkpoints/best.ckpt"
    assert run_name(["recipes/finetune/metaworld.yaml", after]) == "metaworld_after_la-3f2a1c_best"


def test_overlays_and_settings_give_different_folders():
    commands = [
        ["a.yaml"],
        ["a.yaml", "seed_everything=1"],
        ["a.yaml", "seed_everything=2"],
        ["a.yaml", "overlays/big.yaml"],
        ["a.yaml", "overlays/big.yaml", "seed_everything=1"],
    ]
    assert len({run_name(c) for c in commands}) == len(commands)


def test_what_does_not_change_the_outcome_does_not_change_the_folder():
    plain = run_name(["recipes/la.yaml", "recipes/overlays/ddp.yaml"])
    settings = ["trainer.num_nodes=4", "trainer.devices=2", "data.workers=3", "checkpoint_every=10"]
    settings += ["trainer.strategy=ddp", "trainer.strategy.init_args.stage=3", "trainer.logger+=WandbLogger"]
    settings += ["trainer.max_time=00:01:00:00", "trainer.profiler=simple", "trainer.log_every_n_steps=1"]
    for setting in [*settings, "trainer.accelerator=cpu", "trainer.enable_progress_bar=false"]:
        assert run_name(["recipes/la.yaml", "recipes/overlays/ddp.yaml", setting]) == plain
    assert run_name(["recipes/la.yaml", "recipes/overlays/ddp.yaml", "trainer.max_steps=4"]) != plain


def test_an_overlay_that_does_not_change_the_outcome_changes_neither_name_nor_configuration(tmp_path):
    overlays = {
        "ddp": "trainer: {devices: auto, strategy: ddp}",
        "slurm": "trainer: {callbacks+: [{class_path: Requeue, init_args: {every_n_steps: 10}}]}",
        "long": "trainer: {devices: auto, max_steps: 9}",
        "ema": "trainer: {callbacks+: [{class_path: EMAWeightAveraging}]}",
    }
    for name, text in overlays.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    names = {name: run_name(["la.yaml", str(tmp_path / f"{name}.yaml")]) for name in overlays}
    assert (names["ddp"], names["slurm"]) == ("la", "la")
    assert len({names["long"], names["ema"], "la"}) == 3

    plain = {"trainer": {"max_steps": 9, "callbacks": [{"class_path": "DirectionCheck"}]}, "seed_everything": 0}
    more = [*plain["trainer"]["callbacks"], {"class_path": "la4vla.training.callbacks.requeue.Requeue"}]
    watched = {"devices": 2, "strategy": "ddp", "max_time": None, "profiler": "simple", "callbacks": more}
    assert decisive({**plain, "trainer": {**plain["trainer"], **watched}}) == plain
    assert decisive({**plain, "trainer": {"max_steps": 8}}) != plain


def test_a_job_of_many_processes_does_not_train_the_predecessor_in_each(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"is not finished; run `python -m la4vla.fit recipes/la.yaml"):
        finished_policy("recipes/la.yaml", [], tmp_path)


@pytest.fixture
def unfinished(mixed, monkeypatch):
    """The run ``first``, which lost power after two steps and a checkpoint."""
    begin = PolicyModule.on_train_batch_start

    def dies(module, *batch):
        if module.global_step == 3:
            raise RuntimeError("out of power")
        begin(module, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(PolicyModule, "on_train_batch_start", dies)
        with pytest.raises(RuntimeError, match="out of power"):
            fit.main([mixed, "name=first"])
    return Path("runs/first/checkpoints/last.ckpt")


def test_a_run_begins_from_the_checkpoint_of_an_unfinished_one(unfinished, mixed):
    words = [mixed, f"after={unfinished}", "name=second", "trainer.max_steps=1", "model.head_warmup_steps=0"]
    before = Policy.load(unfinished)
    assert not Path("runs/first/policy").exists() and before.provenance["results"] == {"steps": 2}
    recipe = Recipe(words)
    assert "Inherited: backbone, head, statistics of metaworld" in recipe.facts()["begins_from"]
    inherited = recipe.model.policy.state_dict()
    assert all(inherited[name].equal(tensor) for name, tensor in before.state_dict().items())
    fit.main(words)
    told = json.loads(Path("runs/second/provenance.json").read_text())
    first = json.loads(Path("runs/first/provenance.json").read_text())
    assert told["made_from"]["after"] == f"{first['config_hash']}@2"
    assert "after: first_last" in Path("runs/second/config.yaml").read_text()
    assert [stage["name"] for stage in stages(recipe.run)] == ["first", "second"]
    fit.main(words)  # finished
    Path("broken.ckpt").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"^broken\.ckpt is damaged"):
        fit.main([mixed, "after=broken.ckpt", "name=third", "data.sources.la.shards=shards/never/built"])
    assert not Path("runs/third").exists()
