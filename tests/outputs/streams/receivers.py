"""What sinks send to: real Prometheus and InfluxDB, receivers that keep everything, and those that do not behave."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.conftest import answers, free_port, wait_until


class Received(NamedTuple):
    path: str
    headers: Message
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that keeps what it gets and answers *status*."""

    port: int
    status: int = 204
    reply: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def receiver(port: int = 0, status: int = 204, reply: bytes = b"") -> Iterator[Receiver]:
    """A `Receiver` on *port*, by default any; its connections end with it, as those of a process that dies."""
    kept = Receiver(port, status, reply)
    open_sockets: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            kept.connections += 1
            open_sockets.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.requests.append(Received(self.path, self.headers, body))
            self.send_response(kept.status)
            self.send_header("Content-Length", str(len(kept.reply)))
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(kept.reply)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        for one in open_sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        server.server_close()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def packets(port: int = 0) -> Iterator[socket.socket]:
    """A UDP socket on *port*, by default any, with room for everything that a test sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
        udp.bind(("127.0.0.1", port))
        udp.settimeout(5)
        yield udp


def drain(udp: socket.socket) -> list[bytes]:
    """The packets that have come."""
    found = []
    udp.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(udp.recv(65_536))
    return found


class PrometheusServer(NamedTuple):
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def query(self, text: str, at_s: float) -> dict[tuple[tuple[str, str], ...], float]:
        """The instant vector of *text* at *at_s* since the epoch, by labels."""
        found = _get(f"{self.url}/api/v1/query", {"query": text, "time": f"{at_s:.3f}"})
        rows = found["data"]["result"]
        return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in rows}

    def value(self, text: str, at_s: float) -> float:
        """Of a query with one result."""
        (value,) = self.query(text, at_s).values()
        return value


@contextlib.contextmanager
def prometheus_server(folder: Path, scrape_port: int) -> Iterator[PrometheusServer]:
    """Debian's Prometheus, which takes remote writes and scrapes *scrape_port* twice a second."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: scraped, static_configs: [{{targets: ['127.0.0.1:{scrape_port}']}}]}}]\n"
    )
    command = [
        _program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
        "--log.level=error",
    ]
    with _process(command, folder, port):
        server = PrometheusServer(port)
        wait_until(lambda: _is_ready(f"{server.url}/-/ready"))
        # It looks for its targets about five seconds after its start.
        wait_until(lambda: bool(_get(f"{server.url}/api/v1/targets", {})["data"]["activeTargets"]))
        yield server


class InfluxServer(NamedTuple):
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def query(self, database: str, text: str) -> list[dict[str, Any]]:
        """The rows of *text*: columns and tags by name."""
        found = _get(f"{self.url}/query", {"db": database, "q": text})["results"][0]
        assert "error" not in found, found
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
            for series in found.get("series", [])
            for values in series["values"]
        ]


@contextlib.contextmanager
def influx_server(folder: Path) -> Iterator[InfluxServer]:
    """Debian's InfluxDB 1."""
    port, other = free_port(), free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{other}"\n'
        f'[meta]\ndir = "{folder / "meta"}"\n'
        f'[data]\ndir = "{folder / "data"}"\nwal-dir = "{folder / "wal"}"\nquery-log-enabled = false\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n'
    )
    with _process([_program("influxd"), "-config", str(config)], folder, port):
        server = InfluxServer(port)
        wait_until(lambda: _is_ready(f"{server.url}/ping"))
        yield server


@contextlib.contextmanager
def _process(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "output.txt").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        wait_until(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, (folder / "output.txt").read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"these tests need {name}: apt-get install prometheus influxdb")
    return found


def _get(url: str, query: Mapping[str, str]) -> Any:
    with urlopen(f"{url}?{urlencode(query)}", timeout=10) as reply:
        return json.load(reply)


def _is_ready(url: str) -> bool:
    with contextlib.suppress(OSError), urlopen(url, timeout=2) as reply:
        return int(reply.status) < 300
    return False
