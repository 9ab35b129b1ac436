"""A hub on the loopback: the endpoints that creating a repository and uploading a folder call."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml


@dataclass
class Hub:
    """What it was told."""

    url: str = ""
    #: Repository -> how it was made; its files; the messages of its commits.
    repos: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    #: Tokens, as they were sent.
    tokens: set[str] = field(default_factory=set)
    #: The status that every request gets; 0 is none.
    refuses: int = 0


def answer(hub: Hub, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a POST."""
    if path == "/api/repos/create":
        told = json.loads(body)
        repo = f"{told.get('organization') or 'somebody'}/{told['name']}"
        hub.repos[repo] = told
        return 200, {"url": f"{hub.url}/{repo}", "name": repo}
    if path == "/api/validate-yaml":
        content = json.loads(body)["content"]
        known = isinstance(yaml.safe_load(content.split("---")[1]), dict)
        return (200, {"warnings": [], "errors": []}) if known else (400, {"errors": [{"message": "no metadata"}]})
    if path.endswith("/preupload/main"):
        names = [file["path"] for file in json.loads(body)["files"]]
        return 200, {
            "files": [
                {"path": n, "uploadMode": "lfs" if n.endswith(".safetensors") else "regular", "shouldIgnore": False}
                for n in names
            ]
        }
    if path.endswith(".git/info/lfs/objects/batch"):
        objects = json.loads(body)["objects"]
        return 200, {"objects": [{**o, "actions": {"upload": {"href": f"{hub.url}/blob/{o['oid']}"}}} for o in objects]}
    assert path.endswith("/commit/main"), path
    return 200, commit(hub, path.removeprefix("/api/models/").removesuffix("/commit/main"), body)


def commit(hub: Hub, repo: str, body: bytes) -> dict[str, Any]:
    for line in map(json.loads, body.splitlines()):
        kind, value = line["key"], line["value"]
        if kind == "header":
            hub.commits.append(value["summary"])
        elif kind == "file":
            hub.files.setdefault(repo, {})[value["path"]] = base64.b64decode(value["content"])
        elif kind == "lfsFile":
            hub.files.setdefault(repo, {})[value["path"]] = hub.blobs[value["oid"]]
    return {"success": True, "commitOid": "0" * 40, "commitUrl": f"{hub.url}/{repo}/commit/{'0' * 40}"}


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def body(self) -> bytes:
            hub.tokens.add(self.headers.get("authorization", ""))
            if self.headers.get("transfer-encoding") == "chunked":
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return data
            return self.rfile.read(int(self.headers.get("content-length", 0)))

        def reply(self, status: int, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self.body()
            self.reply(*((hub.refuses, {"error": "no"}) if hub.refuses else answer(hub, self.path, body)))

        def do_PUT(self) -> None:
            hub.blobs[self.path.rpartition("/")[2]] = self.body()
            self.reply(200, {})

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
