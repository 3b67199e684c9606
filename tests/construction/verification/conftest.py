"""A server of the verification page in a process of its own, on loopback, which can be killed and started again."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

CARD = """
reader:
  class_path: la4vla.data.readers.metaworld_experts.MetaworldExperts
  init_args: {view: evo1_64, tasks: [reach], episodes: 1}
segmenter: {class_path: KinematicSegmenter}
exports:
  la: {unit: segment, frames: false}
  vla: {unit: segment, frames: true}
"""


@dataclass
class Server:
    """The verb, run on a card."""

    card: Path
    words: tuple[str, ...]
    port: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        command = [sys.executable, "-m", "la4vla.verify", str(self.card), f"port={self.port}", *self.words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None and self.process.stderr is not None
        links = 0
        while links < 2:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            if match := re.search(r"http://127\.0\.0\.1:(\d+)/#(\w+):(\S+)", line):
                self.port, links = int(match[1]), links + 1
                self.tokens[match[2]] = match[3]
        return self

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def ask(self, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Status and JSON of an answer; the server may still be opening its ears."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self.address + path, data, headers), timeout=60) as answer:
                content = answer.read()
                kind = answer.headers["Content-Type"]
                return answer.status, json.loads(content) if kind == "application/json" else content
        except HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def card(tmp_path, tiny_shards) -> Path:
    """A card whose set of 30 tiny segments is there already."""
    path = tmp_path / "tiny.yaml"
    path.write_text(CARD)
    tiny_shards(tmp_path / "tiny" / "vla", frames=True, records=30)
    return path


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers; what still runs at the end is killed."""
    servers: list[Server] = []

    def start(card: Path, *words: str) -> Server:
        servers.append(Server(card, words))
        return servers[-1].start()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def running() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture
def shared(running, tmp_path_factory, tiny_shards) -> Server:
    """One server for all tests of a module that leave no trace; it shows segments without their surroundings."""
    if not running:
        folder = tmp_path_factory.mktemp("shared")
        (folder / "tiny.yaml").write_text(CARD)
        tiny_shards(folder / "tiny" / "vla", frames=True, records=30)
        running.append(Server(folder / "tiny.yaml", ("annotators=[anna,ben]", "context_s=0")).start())
    return running[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in a browser run where there is one."""
    if find_spec("playwright") is not None and shutil.which("chromium") is not None:
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip("needs playwright (pip) and chromium (apt)"))
