"""A real server that speaks OpenAI's chat-completions protocol on loopback, and answers as it is told."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Reply:
    """What the server does with one request."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    finish_reason: str = "stop"
    raw: bytes | None = None  # sent instead of a completion
    held: threading.Event | None = None  # waits for it, then hangs up


class ChatServer(ThreadingHTTPServer):
    """Calls ``script(task, turn)`` for every request: the task named in it, and how often that task was asked before.

    ``asked`` holds the bodies that came, ``answered`` counts the completions that went out whole, by hash of the body.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: Callable[[str, int], Reply] = lambda task, turn: Reply()
        self.asked: list[dict[str, Any]] = []
        self.answered: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.busy = self.busiest = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(data)
        assert self.path == "/v1/chat/completions"
        task = re.search(r"demonstrator: (.*)", body["messages"][1]["content"][0]["text"])[1]
        server = self.server
        with server.lock:
            server.asked.append(body)
            server.keys.add(self.headers["Authorization"])
            turn = server.turns[task]
            server.turns[task] += 1
            server.busy += 1
            server.busiest = max(server.busy, server.busiest)
        try:
            self._act(server.script(task, turn), hashlib.sha256(data).hexdigest())
        finally:
            with server.lock:
                server.busy -= 1

    def _act(self, reply: Reply, digest: str) -> None:
        time.sleep(reply.wait_s)
        if reply.held is not None:
            reply.held.wait(30)
            self.close_connection = True
            return
        completion = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny-vl",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": reply.finish_reason,
                    "message": {"role": "assistant", "content": reply.text},
                }
            ],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }
        data = json.dumps(completion if reply.status == 200 else {"error": {"message": "no"}}).encode()
        data = data if reply.raw is None else reply.raw
        try:
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            return  # the client has gone
        if reply.status == 200:
            with self.server.lock:
                self.server.answered[digest] += 1

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A running server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer() as chat:
        threading.Thread(target=chat.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield chat
        chat.shutdown()


@pytest.fixture
def reply() -> type[Reply]:
    """What a script of the server returns."""
    return Reply
