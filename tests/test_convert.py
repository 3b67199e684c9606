"""The verb from its words to the files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from transformers import AutoTokenizer

from la4vla.cli import run_verb
from la4vla.convert import main
from la4vla.models import trainer_state
from la4vla.models.backbones.internvl3_sizes import Sizes
from la4vla.models.backbones.internvl3_weights import TOKENIZER
from la4vla.models.policy import Policy
from la4vla.models.published.official_folder import load_tensors
from la4vla.models.published.official_head import OfficialFlowMatchingHead

sys.path.insert(0, str(Path(__file__).parent / "models"))
sys.path.insert(0, str(Path(__file__).parent / "models" / "published"))

from literal import random_weights
from tiny_hub import serving

WEIGHTS = "mp_rank_00_model_states.pt"
ARM = """
embodiment: {name: arm, proprioception: [a, b, c, d], actions: [a, b, c, d], cameras: [front], control_hz: 10.0}
view: null
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """``SOURCE TARGET vlm=... embodiment=...`` for a tiny official checkpoint."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    config = Sizes(16, 4, 0.5, 32, 2, 16, 32, 3, 8, 2, 48, 1024).config()
    config.image_token_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    config.save_pretrained(tmp_path / "vlm")
    tokenizer.save_pretrained(tmp_path / "vlm")
    source = tmp_path / "source"
    source.mkdir()
    torch.save({"module": random_weights()}, source / WEIGHTS)
    (source / "config.json").write_text(json.dumps({"num_heads": 2}))
    leaf = {"min": [-1.0] * 4, "max": [1.0] * 4}
    (source / "norm_stats.json").write_text(json.dumps({"one": {"data": {"observation.state": leaf, "action": leaf}}}))
    (tmp_path / "arm.yaml").write_text(ARM)
    return [str(source), str(tmp_path / "policy"), f"vlm={tmp_path / 'vlm'}", f"embodiment={tmp_path / 'arm.yaml'}"]


def test_there_and_back(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*words, "compat=true", "masked_queries=attend", "times=evo1", "integration_steps=5"])
    assert "holds a policy for 'arm'" in capsys.readouterr().out
    policy = Policy.load(words[1])
    assert isinstance(policy.head, OfficialFlowMatchingHead)
    assert policy.backbone.masked_queries == "attend"
    assert (policy.head.time_scale, policy.head.integration_steps) == (1000, 5)
    main([words[1], str(tmp_path / "back"), "arm=one", "dataset=data"])
    with pytest.raises(ValueError, match="is a policy already: only layout=, arm= and dataset= apply"):
        main([words[1], str(tmp_path / "again"), words[3]])
    before, after = (load_tensors(folder / WEIGHTS) for folder in (tmp_path / "source", tmp_path / "back"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "word", ["vlm=other", "view=corner", "normalization=bounds", "category=1", "integration_steps=5", "compat=true"]
)
def test_what_a_policy_has_already_is_refused(word: str, tmp_path: Path) -> None:
    (tmp_path / "policy" / "backbone").mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"only layout=, arm= and dataset= apply; leave out {word.split('=')[0]}=\.$"):
        main([str(tmp_path / "policy"), str(tmp_path / "target"), word])


def test_to_lerobot_and_back(words: list[str], tmp_path: Path) -> None:
    main(words)
    main([words[1], str(tmp_path / "lerobot"), "layout=lerobot"])
    main([str(tmp_path / "lerobot"), str(tmp_path / "again"), *words[2:]])
    first, second = (load_file(folder / "model.safetensors") for folder in (Path(words[1]), tmp_path / "again"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(ValueError, match="LeRobot's knows one set"):
        main([words[1], str(tmp_path / "other"), "layout=lerobot", "arm=one"])
    with pytest.raises(ValueError, match="is no policy of this package: layout= says what a policy becomes"):
        main([words[0], str(tmp_path / "other"), *words[2:], "layout=lerobot"])


def test_a_checkpoint_of_a_run_goes_out_as_a_policy_does(words: list[str], tmp_path: Path) -> None:
    main(words)
    policy, checkpoint = Policy.load(words[1]), tmp_path / "last.ckpt"
    weights = {f"policy.{name}": tensor for name, tensor in policy.state_dict().items()}
    torch.save({"state_dict": weights, "global_step": 3, "policy": trainer_state.description(policy)}, checkpoint)
    main([str(checkpoint), str(tmp_path / "back")])
    before, after = (load_tensors(folder / WEIGHTS) for folder in (tmp_path / "source", tmp_path / "back"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    main([str(checkpoint), str(tmp_path / "ours"), "layout=la4vla"])
    ours = Policy.load(tmp_path / "ours").state_dict()
    assert ours.keys() == policy.state_dict().keys() and all(ours[k].equal(v) for k, v in policy.state_dict().items())
    with pytest.raises(ValueError, match=r"last\.ckpt is a policy already: .* leave out vlm=\.$"):
        main([str(checkpoint), str(tmp_path / "other"), "vlm=other"])
    with pytest.raises(ValueError, match=r"^There is no checkpoint .*best\.ckpt: name one"):
        main([str(tmp_path / "best.ckpt"), str(tmp_path / "other")])


@pytest.fixture
def hub(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, bytes]]]:
    """A hub that holds the checkpoint and the VLM of ``words``, and is the only one there is."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    repositories = {
        name: {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()}
        for name, folder in (("authors/checkpoint", "source"), ("authors/vlm-hf", "vlm"))
    }
    with serving(repositories) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = "{endpoint}/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template.replace("{endpoint}", address))
        yield repositories


def test_from_a_hub(words: list[str], hub: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    hub["authors/checkpoint"]["bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"] = b"several times the weights"
    main(words)
    main(["authors/checkpoint", str(tmp_path / "fetched"), "vlm=authors/vlm-hf", words[3]])
    for name in ("model.safetensors", "backbone/tokenizer.json"):
        assert (tmp_path / "fetched" / name).read_bytes() == (Path(words[1]) / name).read_bytes()
    assert not list((tmp_path / "cache").rglob("*optim_states.pt"))
    policy = {str(f.relative_to(words[1])): f.read_bytes() for f in Path(words[1]).rglob("*") if f.is_file()}
    hub["me/policy"] = policy
    main(["me/policy", str(tmp_path / "back")])
    weights = load_tensors(tmp_path / "back" / WEIGHTS)
    assert weights.keys() == random_weights().keys()


def test_what_a_hub_does_not_hold(words: list[str], hub: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^authors/none is no folder, and the hub did not answer for .*: 404"):
        main(["authors/none", *words[1:]])
    with pytest.raises(ValueError, match=r"^vlm=authors/none is no folder, and the hub did not answer"):
        main([*words[:2], "vlm=authors/none", words[3]])
    del hub["authors/checkpoint"]["norm_stats.json"]
    with pytest.raises(ValueError, match=r"norm_stats\.json is missing"):
        main(["authors/checkpoint", *words[1:]])
    assert not Path(words[1]).exists()


def test_a_robot_this_package_knows(words: list[str]) -> None:
    main([*words[:3], "embodiment=metaworld", "view=lerobot", "normalization=bounds"])
    policy = Policy.load(words[1])
    assert policy.domains[0].embodiment.name == "metaworld" and policy.domains[0].view.name == "lerobot"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (["embodiment=metaworld", "view=corner"], "view=corner is none of Meta-World's"),
        (["normalization=quantiles"], "lacks 'q01', which normalization=quantiles needs"),
        (["arm=two"], r"arm=two is not in the statistics .* choose from \['one'\]"),
        (["normalization=bounds_q99"], "lacks 'q01', which normalization=quantiles needs"),
        (["normalization=normal"], "lacks 'mean', which normalization=zscore needs"),
        (["normalization=MEAN_STD"], "lacks 'mean', which normalization=zscore needs"),
        (["times=evo1"], "belong to the official arithmetic: add compat=true"),
        (["category=1"], "has one set of weights for all categories"),
    ],
)
def test_choices_that_do_not_fit(words: list[str], changed: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        main([*words, *changed])
    assert not Path(words[1]).exists()


@pytest.mark.parametrize("word", ["bounds_q99", "QUANTILES"])
def test_words_of_others_mean_the_same(words: list[str], word: str) -> None:
    rows = {"min": [-9.0] * 4, "max": [9.0] * 4, "q01": [-2.0] * 4, "q99": [4.0] * 4}
    stats = {"one": {"data": {"observation.state": rows, "action": rows}}}
    (Path(words[0]) / "norm_stats.json").write_text(json.dumps(stats))
    main([*words, f"normalization={word}"])
    policy = Policy.load(words[1])
    assert policy.normalization == "quantiles"
    assert policy.normalizer.action_centre[0, 0] == 1.0 and policy.normalizer.action_scale[0, 0] == 3.0


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_vlm_folder_that_lacks_a_file_is_named(words: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / "vlm" / name).unlink()
    with pytest.raises(ValueError, match=rf"^vlm={tmp_path / 'vlm'} has no {name}: name a model in the layout of"):
        main(words)


def test_nothing_is_overwritten(words: list[str]) -> None:
    Path(words[1]).mkdir()
    with pytest.raises(ValueError, match="exists: name a folder that does not"):
        main(words)


def test_mistakes_are_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*words, "compact=true"])
    told = capsys.readouterr().err
    assert "SOURCE TARGET [key=value ...]" in told and "Did you mean 'compat'?" in told
    with pytest.raises(SystemExit, match=r"^error: nowhere is neither a folder nor a hub repository \(owner/name\)"):
        run_verb(lambda: main(["nowhere", "target"]))
