"""``python -m la4vla.evaluate``: from words to results, and what it says when it cannot."""

import json
from pathlib import Path

import pytest
import torch
from point_benchmark import TOP, tiny_policy

from la4vla import evaluate
from la4vla.cli import run_verb
from la4vla.evaluation.card import read_card
from la4vla.evaluation.identity import identity_of
from la4vla.evaluation.outcomes import read_outcomes
from la4vla.models import trainer_state
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import Shot, ViewProfile

ROOT = Path(__file__).parents[2]
CARD = """
benchmark: {class_path: point_benchmark.PointBenchmark, init_args: {episodes: 2, max_steps: 10}}
"""
OTHER = Embodiment("droid", ("x", "y", "z"), ("dx", "dy", "dz"), ("left",), 15.0)


@pytest.fixture
def card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "point.yaml").write_text(CARD)
    return "point.yaml"


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "la_seed0"
    made = tiny_policy()
    made.provenance = {"predecessor": "runs/la_vla/policy", "seed": 3}
    made.save(folder / "policy")
    return folder


def refused(words):
    with pytest.raises(SystemExit) as stopped:
        run_verb(lambda: evaluate.main(words))
    assert stopped.value.code not in (0, None)
    return str(stopped.value.code)


def test_a_run_is_evaluated_and_leaves_its_files(card, policy, capsys):
    evaluate.main([card, f"policy={policy}"])
    folder = Path("runs/evaluations/point/la_seed0")
    assert "la_seed0: point" in capsys.readouterr().out
    assert len(read_outcomes(folder / "outcomes.csv")) == 4
    told = json.loads((folder / "evaluation.json").read_text())
    assert (told["pretraining"], told["seed"], told["settings"]["policy"]) == ("la_vla", 3, "la_seed0")
    assert "finished" in told
    evaluate.main([card, f"policy={policy / 'policy'}"])  # the same one: nothing is run again
    assert refused([card, f"policy={policy}", "benchmark.max_steps=11"]).startswith("error: runs/evaluations/point")
    evaluate.main([card, f"policy={policy}", "benchmark.max_steps=11", "folder=elsewhere", "name=LA"])
    assert {outcome.policy for outcome in read_outcomes("elsewhere/outcomes.csv")} == {"LA"}


def test_a_trainers_checkpoint_is_evaluated_as_it_stands(card):
    made, place = tiny_policy(), Path("runs/la/checkpoints/last.ckpt")
    weights = {f"policy.{name}": tensor for name, tensor in made.state_dict().items()}
    place.parent.mkdir(parents=True)
    torch.save({"state_dict": weights, "global_step": 5, "policy": trainer_state.description(made)}, place)
    Path("runs/la/provenance.json").write_text(
        json.dumps({"seed": 2, "predecessor": "runs/start/checkpoints/best.ckpt"})
    )
    evaluate.main([card, f"policy={place}"])
    told = json.loads(Path("runs/evaluations/point/la_last/evaluation.json").read_text())
    assert (told["settings"]["policy"], told["seed"], told["pretraining"]) == ("la_last", 2, "start_best")
    assert told["settings"]["identity"] == identity_of(made)
    assert f"a policy's folder, the checkpoint {place}, hf://owner/name" in refused([card, "policy=runs/la"])
    assert refused([card, "policy=runs/la/checkpoints/best.ckpt"]).startswith("error: There is no checkpoint runs/la")


@pytest.mark.parametrize("word", ["random", "zero"])
def test_agents_are_called_by_a_word(card, word):
    evaluate.main([card, f"policy={word}"])
    assert read_outcomes(f"runs/evaluations/point/{word}/outcomes.csv")[0].policy == word


def test_perturbations_give_a_curve(card, capsys):
    Path("noise.yaml").write_text(CARD + "perturbations: [{class_path: GaussianNoise, init_args: {levels: [9, 90]}}]\n")
    evaluate.main(["noise.yaml", "policy=random"])
    folder = Path("runs/evaluations/noise/random")
    folders = {"undisturbed": "", "gaussian_noise_9": "gaussian_noise 9", "gaussian_noise_90": "gaussian_noise 90"}
    for name, label in folders.items():
        assert {outcome.perturbation for outcome in read_outcomes(folder / name / "outcomes.csv")} == {label}
    assert (folder / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert "success under disturbance" in capsys.readouterr().out


def test_an_impossible_disturbance_is_told_before_anything_runs(card):
    lonely = CARD.replace("episodes: 2", "tasks: [near, alone], episodes: 2")
    kinds = "[{class_path: GaussianNoise}, {class_path: DistractorInstruction}]"
    Path("lonely.yaml").write_text(f"{lonely}perturbations: {kinds}\n")
    said = refused(["lonely.yaml", "policy=random"])
    assert said.startswith("error: No other task of point shares the scene of alone: leave those out for distractor")
    assert not Path("runs").exists()


def test_what_does_not_fit_is_one_sentence(card, policy, tmp_path):
    assert "There is no finished policy at runs/nothing" in refused([card, "policy=runs/nothing"])
    assert "random, zero" in refused([card, "policy=runs/nothing"])
    assert refused(["policy=random"]) == "error: Name the benchmark's card, for example benchmarks/metaworld.yaml."
    assert refused(["lost.yaml", "policy=random"]) == "error: There is no card lost.yaml."
    assert "chunks hold 8 actions: add benchmark.replan_every=8" in refused(
        [card, f"policy={policy}", "benchmark.replan_every=9"]
    )
    foreign, blind, askew = (tmp_path / name for name in ("foreign", "blind", "askew"))
    tiny_policy(OTHER, ViewProfile("left", (Shot("left", 16),), 16)).save(foreign)
    assert "trained on droid, this benchmark is of embodiment 'point'" in refused([card, f"policy={foreign}"])
    tiny_policy(view=None).save(blind)
    assert "trained without images" in refused([card, f"policy={blind}"])
    tiny_policy(view=ViewProfile("side", TOP.shots, 16)).save(askew)
    assert "trained on view 'side', this benchmark renders view 'top': add benchmark.view=side" in refused(
        [card, f"policy={askew}"]
    )


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda:7", "device=cuda:7, but torch finds 2 GPU(s) on this machine; leave it out to take what there is."),
        ("gpu", "device=gpu is no device; it is cpu, cuda or cuda:N."),
        ("meta", "device=meta, but torch finds no such device on this machine; leave it out to take what there is."),
    ],
)
def test_a_device_that_is_not_there_is_told_before_anything_runs(card, policy, monkeypatch, device, said):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert refused([card, f"policy={policy}", f"device={device}"]) == f"error: {said}"
    assert not Path("runs").exists()


def test_a_policy_that_answers_nan_is_one_sentence(card, tmp_path, capsys):
    broken = tiny_policy()
    with torch.no_grad():
        next(iter(broken.head.parameters())).fill_(float("nan"))
    broken.save(tmp_path / "broken")
    said = refused([card, f"policy={tmp_path / 'broken'}"])
    assert said == (
        "error: The policy answered actions that are not finite: execute none, and check its weights and statistics."
    )
    assert "0 finished episodes are kept" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy=random", "benchmark.max_step=3"], "max_step"),
        (["policy=random", "polici=3"], "Did you mean 'policy'?"),
        ([], "policy"),
    ],
)
def test_misspelt_and_missing_words_end_at_once(card, words, said, capsys):
    assert refused([card, *words]) == "2"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "benchmarks").glob("*.yaml")))
def test_every_card_is_read(name):
    pytest.importorskip("libero" if "libero" in name else "metaworld")
    evaluation, folder = read_card([str(ROOT / "benchmarks" / name), "policy=random"])
    assert len(evaluation.benchmark.jobs) >= 100
    assert folder == Path("runs/evaluations", name.removesuffix(".yaml"), "random")
    assert "random" in evaluation.benchmark.agents()
    json.dumps(evaluation.benchmark.settings)
