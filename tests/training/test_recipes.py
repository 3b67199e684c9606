"""Every YAML file parses, every recipe trains two steps, and paradigms differ in what they should and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from la4vla import fit
from la4vla.models.policy import Policy

ROOT = Path(__file__).parents[2]
RECIPES = sorted([*ROOT.glob("recipes/*.yaml"), *ROOT.glob("recipes/finetune/*.yaml")])
PARADIGMS = ("la", "vla", "la_vla", "mixpt")
TWO_STEPS = (
    "trainer.max_steps=2",
    "data.batch_size=4",
    "trainer.log_every_n_steps=1",
    "data.workers=0",
    "start=null",
    "after=null",
    "name=tried",
)


@pytest.mark.parametrize("path", sorted(ROOT.glob("**/*.yaml")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_yaml_is_a_mapping(path):
    if not {".venv", ".tox", "runs"} & set(path.parts):
        assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_trains_two_steps(workspace, path):
    words = [str(path), *TWO_STEPS]
    if path.parent.name == "finetune":
        words.append("trainer.callbacks=null")
    fit.main(words)
    run = workspace / "runs" / "tried"
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["results"]["steps"] == 2
    assert provenance["effective_batch"] == 4
    travelling = json.loads((run / "policy" / "provenance.json").read_text())
    assert travelling == {name: fact for name, fact in provenance.items() if name != "finished"}
    assert all(len(s["content_hash"]) == 64 for s in provenance["sources"].values())
    assert (run / "loss.png").stat().st_size > 1000
    assert (run / "checkpoints" / "last.ckpt").exists()
    Policy.load(run / "policy")


def test_paradigms_differ_in_sources_and_after_only():
    trees = {name: yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text()) for name in PARADIGMS}
    rest = [{k: v for k, v in t.items() if k != "after"} for t in trees.values()]
    for tree in rest:
        tree["data"] = {k: v for k, v in tree["data"].items() if k != "sources"}
    assert all(tree == rest[0] for tree in rest)
    assert trees["la_vla"]["data"] == trees["vla"]["data"]


def test_a_chain_trains_its_predecessors_and_begins_from_them(workspace):
    for name in ("common_start", "la", "vla", "la_vla"):
        recipe = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text())
        recipe["trainer"] = {"max_steps": 2}
        recipe["data"] |= {"batch_size": 4, "workers": 0}
        for part in ("backbone", "head"):
            recipe["model"][part] = str(ROOT / "recipes" / recipe["model"][part])
        (workspace / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    fit.main(["la_vla.yaml"])
    told = {
        n: json.loads((workspace / f"runs/{n}/provenance.json").read_text()) for n in ("common_start", "la", "la_vla")
    }
    assert told["la_vla"]["predecessor"] == "runs/la/policy"
    assert told["la"]["predecessor"] == "runs/common_start/policy"
    report = (workspace / "runs/la_vla/report.md").read_text()
    assert all(stage in report for stage in ("common_start", "la_vla"))
    table = Policy.load(workspace / "runs/la/policy").state_dict()
    later = Policy.load(workspace / "runs/la_vla/policy").state_dict()
    name = "normalizer.action_centre"
    assert table[name].equal(later[name])


@pytest.mark.parametrize("kind", ["backbones/internvl3", "heads/flow_matching"])
def test_the_published_size_leaves_nothing_of_the_tiny_one(kind):
    """An overlay merges into a part of the same class, so it must set whatever that part sets."""
    tiny, published = (
        yaml.safe_load((ROOT / "recipes" / "parts" / f"{kind}_{size}.yaml").read_text()) for size in ("tiny", "1b")
    )
    assert tiny["class_path"] == published["class_path"]
    assert tiny["init_args"].keys() <= published["init_args"].keys()
