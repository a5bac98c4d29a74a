"""Whole runs with URLs, headers and hosts that are not plain ASCII or would inject others; and where localhost is."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import Cli, free_port


class Handler(BaseHTTPRequestHandler):
    """Answers every GET, and counts the targets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen[self.path] += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(address: str, port: int) -> Iterator[Counter[str]]:
    """A server on *address* alone; yields how often each target was asked for."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    seen: Counter[str] = Counter()
    with Server((address, port), Handler) as server:
        server.seen = seen  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


SCRIPT = """
import fastload as fl

@fl.scenario(vus=2, iterations=4)
async def visit(vu):
    await vu.get("/ü", headers={"X-Test": "ß"})
"""


@pytest.mark.parametrize(
    ("path", "sent"),
    [("/ü", "/%C3%BC"), ("/a b?c d", "/a%20b?c%20d"), (os.fsdecode(b"/\xff"), "/%FF"), ("/%C3%BC#x", "/%C3%BC")],
)
def test_bench_of_any_path(cli: Cli, path: str, sent: str) -> None:
    port = free_port()
    with serving("127.0.0.1", port) as seen:
        done = cli("bench", f"http://127.0.0.1:{port}{path}", "-n", "6", "-w", "2", "--json", "-H", "X-Test: ü")
    assert done.returncode == 0, done.stderr
    assert dict(seen) == {sent: 6}
    assert json.loads(done.stdout)["metrics"]["http_reqs"]["count"] == 6


def test_a_run_with_any_text(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    port = free_port()
    with serving("127.0.0.1", port) as seen:
        done = cli(
            *("run", "s.py", "--base-url", f"http://bücher.example:{port}/ä", "-A", "ü-agent", "--auth", "basic:ü:ß"),
            *("--host-override", "bücher.example=127.0.0.1", "--json"),
        )
    assert done.returncode == 0, done.stderr
    assert dict(seen) == {"/%C3%A4/%C3%BC": 4}
    assert '"name": "/ü"' in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("bench", "http://127.0.0.1/", "-H", "A: b\r\nX: y"), "the header 'A' has a line break in it"),
        (("bench", "http://127.0.0.1/", "-H", "A\r\nX: y"), "is no name of a header"),
        (("bench", "http://127.0.0.1/", "--ingest", "--api-key", "a\r\nX: y"), "--api-key has a line break in it"),
        (("bench", "http://127.0.0.1/?t=1", "--ingest"), "has a query"),
        (("bench", "http://a b/"), "has a host that is no name"),
        (("run", "s.py", "--base-url", "http://127.0.0.1/?t=1"), "has a query"),
        (("run", "s.py", "--base-url", "http://127.0.0.1/#t"), "has a fragment"),
        (("run", "s.py", "-A", "a\r\nX: y"), "user_agent has a line break in it"),
        (("run", "s.py", "--auth", "bearer:a\nX: y"), "the token of auth has a line break in it"),
        (("run", "s.py", "-H", "A: b\nX: y"), "the header 'A' has a line break in it"),
    ],
)
def test_refused_before_the_first_request(cli: Cli, tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    done = cli(*args)
    assert done.returncode == 104
    assert message in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_localhost_is_wherever_its_server_is(cli: Cli, address: str) -> None:
    port = free_port()
    with serving(address, port) as seen:
        done = cli("bench", f"http://localhost:{port}/", "-n", "4", "-c", "2", "-w", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert dict(seen) == {"/": 4}


def test_the_addresses_of_a_host_are_shared(cli: Cli) -> None:
    port = free_port()
    with serving("127.0.0.1", port) as four, serving("::1", port) as six:
        done = cli(
            *("bench", f"http://localhost:{port}/", "-n", "40", "-c", "4", "-w", "2", "--dns-select", "roundRobin"),
            "--json",
        )
    assert done.returncode == 0, done.stderr
    assert four["/"] + six["/"] == 40
    assert min(four["/"], six["/"]) >= 1
