"""A model hub on this machine, as far as the hub's own client asks: looking up, fetching with ranges, and pushing.

It can be slow, stand still, cut transfers, damage what it sends, and ask for a token.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 64 * 1024
LARGE = 100_000  # bytes from which a file is kept by its sha256
TOKEN = "hf_planted0planted0planted0planted0"
OWNER = "tester"
# Constants of a backend that never takes a hub of this machine for one that is out of reach, nor asks it twice.
PATIENT = {f"backend.models.hub.{name}_SECONDS": 600.0 for name in ("ANSWER", "REMEMBERED")}


@dataclass
class Repository:
    """A model on the hub. `gated`: its files are for those who show TOKEN; `private`: so is that it exists.

    `parameters`: as many as the hub counts, None where it cannot.
    """

    files: dict[str, bytes]
    gated: bool = False
    private: bool = False
    parameters: int | None = None

    @property
    def commit(self) -> str:
        """The commit, which follows from the content."""
        content = b"".join(name.encode() + body for name, body in sorted(self.files.items()))
        return hashlib.sha1(content).hexdigest()


@dataclass
class Hub:
    """What the hub holds, how it behaves, and what it saw.

    `cuts` and `damages`: how many of the next large transfers go wrong; `shown`: the authorization of each question.
    `began`: the byte from which each transfer of a large file was asked for.
    `goes_on`: while it is not set, uploads stand still after their first piece, and large files that are fetched once
    they are at `stands_at`; `received`: bytes of uploads.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    listed: Any = field(default_factory=list)
    bytes_a_second: float = math.inf
    stands_at: float = math.inf
    cuts: int = 0
    damages: int = 0
    url: str = ""
    asked: list[str] = field(default_factory=list)
    shown: list[str | None] = field(default_factory=list)
    began: list[int] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    received: int = 0
    goes_on: threading.Event = field(default_factory=threading.Event)


class Answer(BaseHTTPRequestHandler):
    """One request to `hub`, which a subclass names."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.hub.asked.append(self.path)
        self.hub.shown.append(self.headers.get("Authorization"))
        path = unquote(urlsplit(self.path).path)
        if path == "/api/models":
            listed = self.hub.listed
            self._answer(200, listed if isinstance(listed, bytes) else json.dumps(listed).encode())
        elif path == "/api/whoami-v2":
            self._answer(200, json.dumps({"type": "user", "name": OWNER, "orgs": []}).encode())
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._describe(found[1], found[2] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(found[1], found[2], found[3])
        else:
            self._answer(404, b"{}")

    def do_POST(self) -> None:
        self.hub.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and not path.startswith("/put/"):
            self._answer(401, b'{"error": "Invalid username or password."}')
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or OWNER}/{asked['name']}"
            self.hub.repositories.setdefault(name, Repository({}, private=asked.get("visibility") == "private"))
            self._json({"url": f"{self.hub.url}/{name}", "name": name})
        elif path == "/api/validate-yaml":  # of a README's head
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": _mode(one), "shouldIgnore": False} for one in files]
            self._json({"files": modes})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            upload = [{**one, "actions": {"upload": {"href": f"{self.hub.url}/put/{one['oid']}"}}} for one in objects]
            self._json({"transfer": "basic", "objects": upload})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/.+", path):
            self._commit(found[1], [json.loads(line) for line in body.splitlines()])
        else:
            self._answer(404, b"{}")

    def do_PUT(self) -> None:
        content = b"".join(self._received(int(self.headers["Content-Length"])))
        self.hub.stored[hashlib.sha256(content).hexdigest()] = content
        self._answer(200, b"")

    def _received(self, length: int) -> Iterator[bytes]:
        while length and (piece := self.rfile.read(min(PIECE, length))):
            length -= len(piece)
            self.hub.received += len(piece)
            self.hub.goes_on.wait()
            yield piece

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _repository(self, name: str, revision: str) -> Repository | None:
        """Return a repository that this client may see, or answer why not."""
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self._is_known()):
            self._answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return None
        if revision not in {"main", found.commit}:
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return None
        return found

    def _describe(self, name: str, revision: str) -> None:
        if (found := self._repository(name, revision)) is None:
            return
        siblings = [
            {"rfilename": path, "size": len(body), "blobId": _git_hash(body)}
            | ({"lfs": {"sha256": _etag(body), "size": len(body), "pointerSize": 130}} if len(body) >= LARGE else {})
            for path, body in found.files.items()
        ]
        counted = {} if found.parameters is None else {"safetensors": {"total": found.parameters}}
        described = {"id": name, "sha": found.commit, "siblings": siblings, "tags": [], "private": found.private}
        self._json(described | counted)

    def _file(self, name: str, revision: str, path: str) -> None:
        if (found := self._repository(name, revision)) is None:
            return
        if found.gated and not self._is_known():
            self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path not in found.files:
            self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        else:
            body = found.files[path]
            headers = {"ETag": f'"{_etag(body)}"', "X-Repo-Commit": found.commit, "Accept-Ranges": "bytes"}
            self._send(body, headers)

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        start, hub = 0, self.hub
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(asked[1])
            headers |= {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        large = len(body) >= LARGE and self.command == "GET"
        if large:
            hub.began.append(start)
        if large and hub.damages:
            hub.damages -= 1
            body = bytes(len(body))
        end = len(body)
        if large and hub.cuts:
            hub.cuts -= 1
            end = start + (len(body) - start) // 2
        self._head(206 if start else 200, len(body) - start, headers)
        if self.command == "HEAD":
            return
        for position in range(start, end, PIECE):
            if large and position >= hub.stands_at:
                hub.goes_on.wait()
            piece = body[position : min(position + PIECE, end)]
            self.wfile.write(piece)
            if math.isfinite(hub.bytes_a_second):
                time.sleep(len(piece) / hub.bytes_a_second)
        self.close_connection = end < len(body)

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        import base64

        found = self.hub.repositories[name]
        for line in lines:
            if line["key"] == "file":
                found.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                found.files[line["value"]["path"]] = self.hub.stored[line["value"]["oid"]]
        url = f"{self.hub.url}/{name}/commit/{found.commit}"
        self._json({"commitUrl": url, "commitOid": found.commit, "success": True})

    def _is_known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _json(self, answer: Any) -> None:
        self._answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def running_hub(listed: Any = (), **repositories: Repository) -> Iterator[Hub]:
    """Give a hub that lists these models, or answers with these bytes; repositories are OWNER's, by their names."""
    hub = Hub({f"{OWNER}/{name}": one for name, one in repositories.items()}, listed)
    hub.goes_on.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisHub", (Answer,), {"hub": hub}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients are killed in the middle
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        hub.goes_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def repository_of(folder: Path, **how: bool) -> Repository:
    """Return a repository that holds the files of a folder."""
    return Repository({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}, **how)


def model_folder(folder: Path, parameters: tuple[int, ...]) -> None:
    """Write a folder that looks like a Llama whose only weight has this shape."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    size = math.prod(parameters) * 4
    header = json.dumps({"w": {"dtype": "F32", "shape": parameters, "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))


def _etag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if len(body) >= LARGE else _git_hash(body)


def _git_hash(body: bytes) -> str:
    return hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()


def _mode(file: dict[str, Any]) -> str:
    return "lfs" if file["size"] >= LARGE else "regular"
