"""A Hugging Face hub on this machine: what its client asks for of models, and a log of the files that were fetched."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_somebody_who_may"


class Hub:
    """Models by name; `private` and `gated` ones are for whoever shows TOKEN. `fetched` are files that were sent."""

    def __init__(self) -> None:
        self.models: dict[str, Path] = {}
        self.private: set[str] = set()
        self.gated: set[str] = set()
        self.fetched: list[str] = []
        self.address = ""

    def commit(self, name: str) -> str:
        """The commit of a model: changes with the names of its files."""
        names = " ".join(sorted(self.files(name)))
        return hashlib.sha1(f"{name} {names}".encode()).hexdigest()

    def files(self, name: str) -> dict[str, Path]:
        """The files of a model by their path in the repository."""
        folder = self.models[name]
        return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        is_api = parts[:2] == ["api", "models"]
        name, rest = ("/".join(parts[2:4]), parts[4:]) if is_api else ("/".join(parts[:2]), parts[2:])
        refused = self._refusal(name, rest, is_api)
        if refused is not None:
            self._send(b'{"error": "refused"}', refused[0], {"X-Error-Code": refused[1]})
            return
        files = self.hub.files(name)
        if is_api and rest[:1] == ["tree"]:
            listed = [{"type": "file", "path": path, "size": 1, "oid": "0" * 40} for path in files]
            content = json.dumps(listed).encode()
        elif is_api:
            siblings = [{"rfilename": path} for path in files]
            content = json.dumps({"id": name, "sha": self.hub.commit(name), "siblings": siblings}).encode()
        else:
            path = "/".join(rest[2:])
            content = files[path].read_bytes()
            if self.command == "GET":
                self.hub.fetched.append(path)
        tag = f'"{hashlib.sha1(content).hexdigest()}"'
        self._send(content, 200, {"ETag": tag, "X-Repo-Commit": self.hub.commit(name)})

    def _refusal(self, name: str, rest: list[str], is_api: bool) -> tuple[int, str] | None:
        hub = self.hub
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if name in hub.private and not allowed:
            return 401, "RepoNotFound"
        if name not in hub.models:
            return 404, "RepoNotFound"
        if name in hub.gated and not allowed and not is_api:
            return 403, "GatedRepo"
        if rest and rest[1] not in ("main", hub.commit(name)):
            return 404, "RevisionNotFound"
        if rest[:1] == ["resolve"] and "/".join(rest[2:]) not in hub.files(name):
            return 404, "EntryNotFound"
        return None

    def _send(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve a hub on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
