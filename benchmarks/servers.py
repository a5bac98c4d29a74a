"""The servers of the benchmarks, each on one CPU and a free loopback port, gone after the block.

nginx with one worker process, and the targets that ship with fastload.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import trustme

from fastload.targets import RunningTarget, TargetOptions, running

HOST = "127.0.0.1"
INGEST_PATH = "/api/v1/ves/events/ingest"
_START_S = 10.0
_FILES = 30_000
_BACKLOG = 65_535

_CONFIG = """
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
error_log {folder}/error.log error;
pid {folder}/nginx.pid;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    reset_timedout_connection on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{http} backlog={backlog};
        listen {host}:{https} ssl backlog={backlog};
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        location / {{ return 200 "ok"; }}
        # A batch of 1,000 events fits in. Its body is read to the end and dropped, and the connection stays open.
        location = {ingest} {{ client_max_body_size 8m; client_body_buffer_size 1m; return 200 "ok"; }}
    }}
    server {{
        listen {host}:{status};
        location / {{ stub_status; }}
    }}
}}
"""


class ServerError(RuntimeError):
    """The server cannot be started, or does not answer."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Of nginx itself at *at_s* (monotonic): requests and connections since its start, connections open now.

    The request and the connection that ask for the counters are part of them.
    """

    at_s: float
    requests: int
    accepted: int
    open: int


class Nginx:
    """A running nginx. *pids*: master and worker; the worker's CPU seconds so far are `cpu_s`."""

    def __init__(self, master: subprocess.Popen[bytes], ports: tuple[int, int, int]) -> None:
        self._master = master
        self._status = http.client.HTTPConnection(HOST, ports[2], timeout=10)
        self.http_url = f"http://{HOST}:{ports[0]}"
        self.https_url = f"https://{HOST}:{ports[1]}"

    @property
    def pids(self) -> list[int]:
        return [self._master.pid, *(child.pid for child in psutil.Process(self._master.pid).children())]

    @property
    def cpu_s(self) -> float:
        """User and system time of all its processes."""
        times = [psutil.Process(pid).cpu_times() for pid in self.pids]
        return sum(time.user + time.system for time in times)

    def counters(self) -> Counters:
        """What it has counted until now, over a connection of its own."""
        before_s = time.monotonic()
        self._status.request("GET", "/")
        text = self._status.getresponse().read().decode()
        numbers = [int(word) for word in text.split() if word.isdigit()]
        is_open, accepted, _, requests = numbers[:4]
        return Counters((before_s + time.monotonic()) / 2, requests, accepted, is_open)

    def close(self) -> None:
        self._status.close()


@contextlib.contextmanager
def nginx(cpu: int) -> Iterator[Nginx]:
    """An nginx whose processes run on *cpu* only. They end with the block, and with this process however it ends.

    Raises:
        ServerError: there is no nginx, or it does not start.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise ServerError("nginx is not installed")
    folder = Path(tempfile.mkdtemp(prefix="fastload-nginx-"))
    try:
        ports = free_ports()
        _write_files(folder, ports)
        command = ["taskset", "-c", str(cpu), "setpriv", "--pdeathsig", "TERM", program, "-p", str(folder), "-c"]
        master = subprocess.Popen([*command, str(folder / "nginx.conf")], stderr=subprocess.PIPE)
        try:
            server = Nginx(master, ports)
            _wait_ready(server, master)
            yield server
            server.close()
        finally:
            _stop(master)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def shipped(name: str, options: TargetOptions, cpu: int) -> Iterator[RunningTarget]:
    """The shipped target *name* in one process that runs on *cpu* only."""
    with contextlib.ExitStack() as started:
        with on_cpu(cpu):
            target = started.enter_context(running(name, options))
        yield target


@contextlib.contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """Within the block this process, and what it starts, runs on *cpu* only."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def free_ports() -> tuple[int, int, int]:
    """Three TCP ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind((HOST, 0))
        first, second, third = (one.getsockname()[1] for one in sockets)
        return first, second, third


def raise_file_limit() -> int:
    """Allow this process and its children as many descriptors as it may, 30,000 at most; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _FILES), max(hard, _FILES)))
        return max(soft, _FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _write_files(folder: Path, ports: tuple[int, int, int]) -> None:
    certificate = trustme.CA().issue_cert(HOST, "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    config = _CONFIG.format(
        user="user root;" if os.geteuid() == 0 else "",
        files=files,
        connections=files - 100,
        folder=folder,
        host=HOST,
        http=ports[0],
        https=ports[1],
        status=ports[2],
        backlog=_BACKLOG,
        ingest=INGEST_PATH,
    )
    (folder / "nginx.conf").write_text(config)


def _wait_ready(server: Nginx, master: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if master.poll() is not None:
            said = master.stderr.read().decode(errors="replace") if master.stderr else ""
            raise ServerError(f"nginx ended with {master.returncode}: {said.strip()}")
        with contextlib.suppress(OSError):
            server.counters()
            return
        server.close()
        time.sleep(0.02)
    raise ServerError(f"nginx did not answer within {_START_S:g} s")


def _stop(master: subprocess.Popen[bytes]) -> None:
    master.send_signal(signal.SIGTERM)
    try:
        master.wait(_START_S)
    except subprocess.TimeoutExpired:
        master.kill()
        master.wait()
    if master.stderr:
        master.stderr.close()
