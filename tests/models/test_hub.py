"""Policies go to a hub and come back: a real client against a small hub on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import RepositoryNotFoundError

from la4vla.models import hub
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch

SHA = "1" * 40


class TinyHub(BaseHTTPRequestHandler):
    """The few routes of a hub that uploads of small files and downloads take; one repository after the other."""

    def __init__(self, repositories: dict[str, dict[str, bytes]], *args: Any) -> None:
        self.repositories = repositories
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        """Create a repository, say how to send files, take a commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.repositories.setdefault(name, {})
            return self._answer({"url": f"http://{self.headers['Host']}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        repository, action = self._route()
        if action == "preupload/main":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self._answer({"files": files})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.repositories[repository][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                self.repositories[repository].pop(line["value"]["path"])
        url = f"http://{self.headers['Host']}/{repository}/commit/{SHA}"
        return self._answer({"success": True, "commitOid": SHA, "commitUrl": url})

    def do_HEAD(self) -> None:
        """A file's identity."""
        self._file(send=False)

    def do_GET(self) -> None:
        """A repository's list of files, or one of them."""
        if not self.path.startswith("/api/models/"):
            return self._file(send=True)
        repository, action = self._route()
        if repository not in self.repositories:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        names = sorted(self.repositories[repository])
        if action.startswith("tree"):
            return self._answer([{"type": "file", "path": n, "size": 1, "oid": "0" * 40} for n in names])
        return self._answer({"id": repository, "sha": SHA, "siblings": [{"rfilename": n} for n in names]})

    def _route(self) -> tuple[str, str]:
        owner, name, *action = unquote(self.path.split("?")[0]).removeprefix("/api/models/").split("/")
        return f"{owner}/{name}", "/".join(action)

    def _answer(self, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _file(self, send: bool) -> None:
        repository, path = unquote(self.path.split("?")[0]).lstrip("/").split("/resolve/")
        content = self.repositories[repository][path.split("/", 1)[1]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", SHA)
        self.end_headers()
        if send:
            self.wfile.write(content)


@pytest.fixture
def repositories() -> dict[str, dict[str, bytes]]:
    return {}


@pytest.fixture
def endpoint(
    repositories: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(TinyHub, repositories))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


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


def test_an_unknown_repository_is_named(endpoint: str) -> None:
    with pytest.raises(RepositoryNotFoundError, match="arm/none"):
        hub.from_pretrained(Policy, "arm/none", endpoint=endpoint)
    assert issubclass(RepositoryNotFoundError, OSError)


def test_a_folder_is_loaded_without_a_hub(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    policy = make_policy()
    policy.save_pretrained(tmp_path / "policy", "arm/la")
    assert Policy.from_pretrained(tmp_path / "policy").provenance == {}
    card = (tmp_path / "policy" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: la4vla\n") and 'from_pretrained("arm/la")' in card
    for domain in policy.domains:
        assert f"| {domain.embodiment.name} |" in card
    assert "How it was trained" not in card


def test_the_card_tells_how_it_was_trained(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy()
    policy.provenance = {
        "command": ["python", "-m", "la4vla.fit", "recipes/la.yaml"],
        "sources": {"la": {"vision": "masked"}},
        "effective_batch": 64,
        "git": None,
        "results": {"steps": 100},
    }
    card = hub.card(policy, "arm/la")
    assert "- Command: `python -m la4vla.fit recipes/la.yaml`" in card
    assert "- Sources: la (masked)" in card and "- Steps x effective batch: 100 x 64" in card
    assert "Code" not in card and "Success" not in card
