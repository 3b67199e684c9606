"""Names of runs, and predecessors that cannot be had."""

import pytest

from la4vla.training.chain import decisive, finished_policy, run_name


def test_plain_recipes_give_their_name():
    assert run_name(["recipes/la_vla.yaml"]) == "la_vla"
    assert run_name(["recipes/la.yaml", "name=other", "runs=elsewhere"]) == "la"


def test_after_is_part_of_the_name():
    assert run_name(["recipes/finetune/metaworld.yaml", "after=recipes/mixpt.yaml"]) == "metaworld_after_mixpt"
    assert run_name(["recipes/finetune/metaworld.yaml", "after=null"]) == "metaworld_base"


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
