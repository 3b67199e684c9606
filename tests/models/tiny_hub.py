"""A small hub on loopback, for a real client."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

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


@contextmanager
def serving(repositories: dict[str, dict[str, bytes]]) -> Iterator[str]:
    """The address of a hub that holds ``repositories``, files by path, while it lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(TinyHub, repositories))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
