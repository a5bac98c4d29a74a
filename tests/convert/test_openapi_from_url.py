"""Servers of a description that was read from a URL: relative ones are relative to that URL (RFC 3986)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import RecordingFilter, convert
from tests.conftest import Cli
from tests.convert.conftest import serving


class Api(ThreadingHTTPServer):
    """Serves a description with ``servers`` at /docs/v2/openapi.json, and what it describes; it notes the paths."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        self.servers: Any = None
        self.asked: list[str] = []

    def description(self) -> bytes:
        top = {} if self.servers is None else {"servers": self.servers}
        get = {"operationId": "read", "responses": {"200": {"description": "fine"}}}
        info = {"title": "t", "version": "1"}
        return json.dumps({"openapi": "3.0.3", "info": info, "paths": {"/a": {"get": get}}, **top}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/latest":
            self.send_response(302)
            self.send_header("Location", "/docs/v2/openapi.json?token=secret")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.server.description() if "openapi" in self.path else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Nothing: stderr is the test's."""


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api()) as server:
        yield server


@pytest.mark.parametrize("source", ["/docs/v2/openapi.json?x=1#frag", "/latest"])
@pytest.mark.parametrize(
    ("servers", "origin", "url"),
    [
        (None, "http://127.0.0.1:{port}", "/a"),
        ([], "http://127.0.0.1:{port}", "/a"),
        ([{"url": "/"}], "http://127.0.0.1:{port}", "/a"),
        ([{"url": "/v1"}], "http://127.0.0.1:{port}", "/v1/a"),
        ([{"url": "../v1"}], "http://127.0.0.1:{port}", "/docs/v1/a"),
        ([{"url": "v1/"}], "http://127.0.0.1:{port}", "/docs/v2/v1/a"),
        ([{"url": "./"}], "http://127.0.0.1:{port}", "/docs/v2/a"),
        ([{"url": "//api.example.com/v1"}], "http://api.example.com", "/v1/a"),
        ([{"url": "https://api.example.com"}], "https://api.example.com", "/a"),
    ],
)
def test_servers_are_relative_to_the_url_of_the_description(
    api: Api, source: str, servers: Any, origin: str, url: str
) -> None:
    api.servers = servers
    made = convert(f"http://127.0.0.1:{api.port}{source}", "api.py", RecordingFilter())
    assert made.options == ("--base-url", origin.format(port=api.port))
    assert f'vu.get("{url}", name="read")' in made.text
    assert "secret" not in made.text


def test_what_is_written_of_a_url_reaches_the_server_that_it_came_from(cli: Cli, tmp_path: Path, api: Api) -> None:
    done = cli("new", "api", "--from", f"http://127.0.0.1:{api.port}/docs/v2/openapi.json")
    assert done.returncode == 0, done.stderr
    assert f"--base-url http://127.0.0.1:{api.port}" in (tmp_path / "api.py").read_text()
    run = cli("run", "api.py", "--base-url", f"http://127.0.0.1:{api.port}", "-i", "3", "-w", "1", "-q")
    assert run.returncode == 0, run.stdout + run.stderr
    assert api.asked.count("/a") == 3
