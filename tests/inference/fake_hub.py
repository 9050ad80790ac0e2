"""A hub on the loopback: enough of huggingface.co to download repos from, served from folders."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "1" * 40
PIECE = 65_536  # bytes


class FakeHub(ThreadingHTTPServer):
    """`repos` maps "owner/name" to a folder; `requests` has every path that was asked for.

    `pace` is seconds before each piece of a file.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, Path] = {}
        self.requests: list[str] = []
        self.pace = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def downloads(self) -> list[str]:
        """The files that were fetched, without their repo and revision."""
        return [
            path.split("/resolve/", 1)[1].split("/", 1)[1]
            for path in self.requests
            if path.startswith("GET") and "/resolve/" in path
        ]


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        is_api = path.startswith("/api/models/")
        parts = path.removeprefix("/api/models").strip("/").split("/")
        folder = self.server.repos.get("/".join(parts[:2]))
        if folder is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif is_api:
            self._send(200, json.dumps(_listing(folder) if "tree" in parts else _info("/".join(parts[:2]), folder)).encode())
        else:
            file = folder.joinpath(*parts[4:])
            if not file.is_file():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
                return
            data = file.read_bytes()
            self._send(200, data, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(body), PIECE):
                time.sleep(self.server.pace)
                self.wfile.write(body[start : start + PIECE])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _info(repo: str, folder: Path) -> dict[str, object]:
    return {
        "id": repo,
        "sha": COMMIT,
        "siblings": [{"rfilename": name, "size": (folder / name).stat().st_size} for name in _files(folder)],
    }


def _listing(folder: Path) -> list[dict[str, object]]:
    sizes = {name: (folder / name).stat().st_size for name in _files(folder)}
    return [{"type": "file", "path": name, "size": size, "oid": "2" * 40} for name, size in sizes.items()]


def point_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Send huggingface_hub to another address; it read HF_ENDPOINT when it was imported."""
    from huggingface_hub import constants, hf_api

    monkeypatch.setenv("HF_ENDPOINT", url)  # for processes that are started from now on
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hf_api.api, "endpoint", url)


@contextmanager
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Serve until the block ends."""
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, name="fake-hub")
    thread.start()
    point_at(monkeypatch, hub.url)
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
