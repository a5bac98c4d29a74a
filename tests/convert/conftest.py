"""A server that remembers what it was asked, and the linters that generated scripts must pass."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from tests.conftest import REPO

DATA = Path(__file__).parent / "data"
S = TypeVar("S", bound=ThreadingHTTPServer)
REDIRECTS = {"/old": (301, "/"), "/login": (303, "/account?welcome=1")}


class Asked(NamedTuple):
    """A request as the server got it; names of headers in lower case, the values of one name in one line."""

    line: str
    headers: dict[str, str]
    body: str


class Memory(ThreadingHTTPServer):
    """Answers everything with 200, but for `REDIRECTS` and paths that end in ``missing``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Memory

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="surrogateescape")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            before = headers.get(name.lower())
            headers[name.lower()] = value if before is None else f"{before}, {value}"
        self.server.asked.append(Asked(f"{self.command} {self.path}", headers, body))
        status, location = REDIRECTS.get(self.path, (404 if self.path.endswith("missing") else 200, ""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Nothing: stderr is the test's."""


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Serve while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def memory() -> Iterator[Memory]:
    with serving(Memory()) as server:
        yield server


def check_style(*scripts: Path) -> None:
    """That linters and formatters have nothing to say of *scripts*, neither by default nor in this project."""
    ruff = str(Path(sys.executable).parent / "ruff")
    names = [str(script) for script in scripts]
    for options in (
        ["format", "--isolated", "--diff"],
        ["format", "--isolated", "--line-length", "120", "--diff"],
        ["check", "--isolated"],
        ["check", "--config", str(REPO / "pyproject.toml")],
    ):
        done = subprocess.run([ruff, *options, "--no-cache", *names], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
