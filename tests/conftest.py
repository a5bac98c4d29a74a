"""Real servers for all tests: nginx in several tempers, and the sequencer; and the command as a process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from hypothesis import HealthCheck, settings

from fastload.targets import RunningTarget, running
from tests.preloaded import run_preloaded

if TYPE_CHECKING:
    from tests.life import Life

# A busy machine may take long for an example; how long is no property of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Below nohup it is ignored, and would be so in all that tests start. What has a handler is not handed on.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

REPO = Path(__file__).parents[1]
DEADLINE_S = 20.0

_NGINX_CONF = """
worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; }}
http {{
  access_log {root}/access.log combined;
  keepalive_requests 1000000; client_max_body_size 10m; client_body_buffer_size 1m;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{ listen 127.0.0.1:{keep}; location / {{ return 200 "hello"; }}
           location /json {{ default_type application/json; return 200 '{{"name": "fastload"}}'; }}
           location /status/404 {{ return 404 "no"; }} location /status/500 {{ return 500 "oh"; }}
           location /redirect {{ return 302 /json; }}
           location /cookie {{ add_header Set-Cookie "id=7; Path=/"; return 200 "c=$http_cookie"; }}
           location /method {{ return 200 "$request_method $http_x_test $args"; }} }}
  server {{ listen 127.0.0.1:{close20}; keepalive_requests 20; location / {{ return 200 "hello"; }} }}
  server {{ listen 127.0.0.1:{close1}; keepalive_requests 1; location / {{ return 200 "hello"; }} }}
  server {{ listen 127.0.0.1:{tls} ssl http2; ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
           location / {{ return 200 "hello"; }} }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx. *close20* and *close1* close a connection after 20 requests and after every one."""

    url: str
    close20: str
    close1: str
    tls: str
    ca_file: Path
    pid: int
    access_log: Path

    def wait_requests(self, wanted: int) -> int:
        """How many requests it has logged in all, once that is *wanted* or more and no longer grows; or at the
        deadline."""
        logged = -1
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            before, logged = logged, self.access_log.read_bytes().count(b"\n")
            if logged == before and logged >= wanted:
                break
            time.sleep(0.05)
        return logged


def wait_until(condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S, raising: bool = True) -> bool:
    """Poll *condition* until it holds; fail the test at the deadline unless *raising* is false."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            if raising:
                pytest.fail(f"not within {deadline_s} s: {condition}")
            return False
        time.sleep(0.01)
    return True


def _own_ports() -> Iterator[int]:
    """Ports of this process of the tests, each once, below those that Linux hands out by itself."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    # Two runs on one machine begin apart.
    begin = os.getpid() % 1000
    for number in range(1000):
        yield 10_000 + worker % 20 * 1000 + (begin + number) % 1000


_PORTS = _own_ports()


def free_port() -> int:
    """A port that nobody listens on, and that nobody takes by chance: neither a server on port 0, nor another test,
    nor a connection for its near end."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is left")


def answers(port: int) -> bool:
    """Whether somebody accepts connections on *port*."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


# Files whose tests take minutes: begun first, no worker is alone with one of them in the end.
_LONG = ("verdicts", "test_docs.py", "test_recipes.py", "fuzz", "dashboard", "test_capacity.py", "test_interrupts.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files; the order is kept otherwise."""
    first = {name: rank for rank, name in enumerate(_LONG)}
    items.sort(key=lambda item: min((first[part] for part in item.path.parts if part in first), default=len(_LONG)))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """One nginx for the whole session."""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        pytest.fail("these tests need nginx: apt-get install nginx-light")
    root = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(str(root / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(root / "cert.pem"))
    ports = {name: free_port() for name in ("keep", "close20", "close1", "tls")}
    (root / "nginx.conf").write_text(_NGINX_CONF.format(root=root, **ports))
    process = subprocess.Popen(
        [binary, "-c", str(root / "nginx.conf"), "-p", str(root), "-e", str(root / "error.log")],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: all(answers(port) for port in ports.values()))
        yield Nginx(
            url=f"http://127.0.0.1:{ports['keep']}",
            close20=f"http://127.0.0.1:{ports['close20']}",
            close1=f"http://127.0.0.1:{ports['close1']}",
            tls=f"https://127.0.0.1:{ports['tls']}",
            ca_file=root / "ca.pem",
            pid=process.pid,
            access_log=root / "access.log",
        )
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def sequencer() -> Iterator[RunningTarget]:
    """One sequencer for the whole session."""
    with running("sequencer") as target:
        yield target


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Redis for the whole session, without anything on disk."""
    if not shutil.which("redis-server"):
        pytest.fail("these tests need Redis: apt-get install redis-server")
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port))
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


Cli = Callable[..., subprocess.CompletedProcess[str]]


def cli_command(*args: str) -> list[str]:
    """The command line of ``fastload`` with *args*."""
    return [sys.executable, "-m", "fastload", *args]


def cli_env(**extra: str) -> dict[str, str]:
    """An environment for the command: the repository importable, a fixed width, no names of the caller's systems."""
    names = {
        *("API_KEY", "TENANT_ID", "STORE_ID", "AGENT_ID", "SEQUENCER_BASE_URL", "FORCE_COLOR", "NO_COLOR"),
        *("API_URL", "BASE_URL", "WIDGET_URL", "API_BASE", "EMBED_API_URL", "SCORER_ID", "ADDRESSES_FILE"),
        *("TEST_EMAIL", "TEST_PASSWORD"),
    }
    env = {name: value for name, value in os.environ.items() if name not in names and not name.startswith("FASTLOAD_")}
    return env | {"PYTHONPATH": str(REPO), "COLUMNS": "100", "PYTHONWARNINGS": "default"} | extra


@pytest.fixture
def life(nginx: Nginx, tmp_path: Path) -> Iterator[Life]:
    """Runs of scripts that may be interrupted; nothing may be left of them."""
    # It needs this module.
    from tests.life import Life

    found = Life(nginx, tmp_path)
    try:
        yield found
        assert found.left() == []
    finally:
        found.close()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run ``fastload ARGS`` in a directory of the test's own and return its exit code, stdout and stderr. The process
    is forked from one that has fastload in it already (`tests.preloaded`)."""

    def run(*args: str, timeout_s: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        return run_preloaded(cli_command(*args), cwd=tmp_path, env=cli_env(**env), timeout_s=timeout_s)

    return run
