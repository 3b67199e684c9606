"""Policies go to a hub and come back: a real client against a small hub on loopback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from la4vla.models import hub
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch

# Makes the hub importable by name.
sys.path.insert(0, str(Path(__file__).parent))

from tiny_hub import SHA, serving


@pytest.fixture
def repositories() -> dict[str, dict[str, bytes]]:
    return {}


@pytest.fixture
def endpoint(
    repositories: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serving(repositories) as address:
        yield address


def test_a_policy_goes_to_the_hub_and_comes_back(
    make_policy: Callable[..., Policy],
    make_batch: Callable[..., Batch],
    endpoint: str,
    repositories: dict[str, dict[str, bytes]],
) -> None:
    policy = make_policy()
    policy.provenance = {"seed": 3, "command": ["python", "-m", "la4vla.fit", "recipes/la.yaml"]}
    repositories["arm/la"] = {"old.safetensors": b"x"}
    url = hub.push_to_hub(policy, "arm/la", token="hf_x", endpoint=endpoint)
    assert url.endswith(f"arm/la/commit/{SHA}")
    assert {"config.json", "model.safetensors", "provenance.json", "README.md"} <= set(repositories["arm/la"])
    assert "old.safetensors" not in repositories["arm/la"]
    back, batch = hub.from_pretrained(Policy, "arm/la", endpoint=endpoint), make_batch([[True, False]])
    assert torch.equal(back.loss(batch), policy.eval().loss(batch))
    assert back.provenance == policy.provenance


def test_somebody_elses_readme_stays(
    make_policy: Callable[..., Policy], endpoint: str, repositories: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    policy = make_policy()
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "README.md").write_text("Mine.")
    repositories["arm/la"] = {"README.md": b"Mine."}
    for _ in range(2):
        policy.save_pretrained(tmp_path / "policy", "arm/la")
        hub.push_to_hub(policy, "arm/la", token="hf_x", endpoint=endpoint)
    assert (tmp_path / "policy" / "README.md").read_text() == "Mine." and repositories["arm/la"][
        "README.md"
    ] == b"Mine."
    assert (tmp_path / "policy" / "MODEL_CARD.md").read_bytes() == repositories["arm/la"]["MODEL_CARD.md"]
    policy.save_pretrained(tmp_path / "other", "arm/la")
    repositories["arm/other"] = {"README.md": (tmp_path / "other" / "README.md").read_bytes() + b"older"}
    hub.push_to_hub(policy, "arm/other", token="hf_x", endpoint=endpoint)
    assert "MODEL_CARD.md" not in repositories["arm/other"] and b"older" not in repositories["arm/other"]["README.md"]


def test_an_unknown_repository_is_named(endpoint: str) -> None:
    with pytest.raises(OSError, match=r"^the hub did not answer for arm/none: 404 [^\n]*; check its name[^\n]*\.$"):
        hub.from_pretrained(Policy, "arm/none", endpoint=endpoint)


def test_a_hub_out_of_reach_is_one_sentence(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    nowhere, sentence = "http://127.0.0.1:9", r"^the hub did not answer for arm/la: [^\n]*refused; check[^\n]*\.$"
    with pytest.raises(OSError, match=sentence):
        hub.from_pretrained(Policy, "arm/la", endpoint=nowhere)
    with pytest.raises(OSError, match=sentence):
        hub.push_to_hub(make_policy(), "arm/la", token="hf_x", endpoint=nowhere)


def test_a_folder_is_loaded_without_a_hub(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    policy = make_policy()
    policy.save_pretrained(tmp_path / "policy", "arm/la")
    assert Policy.from_pretrained(tmp_path / "policy").provenance == {}
    card = (tmp_path / "policy" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: la4vla\n") and 'from_pretrained("arm/la")' in card
    for domain in policy.domains:
        assert f"| {domain.embodiment.name} |" in card
    assert "How it was trained" not in card
    assert not [file for file in (tmp_path / "policy").iterdir() if file.name.startswith(".")]
