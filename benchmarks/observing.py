"""One run of a load generator against a shipped target, seen from outside: memory, CPU time, requests, failures.

Memory is the kernel's proportional set size: a page that processes share counts once over all of them. Requests are
counted by the target.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.clients import fastload, fastload_failures, find, k6_failures, k6_run, start, tree_cpu_s
from benchmarks.servers import shipped
from fastload.targets import RunningTarget, TargetOptions

K6_ENVIRONMENT = {"GOMAXPROCS": "1"}
_POLL_S = 0.02
_SETTLE_S = 3.0
_SLACK_S = 2.0
_START_S = 300.0
_END_S = 120.0
_THRESHOLD_FAILED = 99
_OWN_ROUTES = ("GET /stats", "GET /health")


@dataclass(frozen=True, slots=True)
class Generator:
    """A load generator: ``command(url, seconds, output)`` runs it; *failures* and *metrics* read what it reports.

    It reports to *output*, or else to stdout.
    """

    name: str
    command: Callable[[str, float, Path], list[str]]
    failures: Callable[[str], int]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return Path(self.command("", 1.0, Path())[0]).is_absolute()


@dataclass(frozen=True, slots=True)
class Observed:
    """One run. CPU seconds and requests are those of the window of *seconds*, memory is that at its end.

    *start_s*: from the command to the first request. *workers_cpu_s*: the client without its parent process, 0 for a
    client that has only one.
    *metrics*: as the client reports them at its end, over the whole run.
    """

    start_s: float = 0.0
    seconds: float = 0.0
    requests: int = 0
    memory_bytes: int = 0
    client_cpu_s: float = 0.0
    workers_cpu_s: float = 0.0
    target_cpu_s: float = 0.0
    failures: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


class _Moment(NamedTuple):
    at_s: float
    requests: int
    client_cpu_s: float
    workers_cpu_s: float
    target_cpu_s: float


def fastload_run(name: str, *arguments: str, load: Callable[[float], list[str]], workers: int = 1) -> Generator:
    """``fastload run`` or ``bench`` with *arguments*; ``load(seconds)`` is how much of what for how long."""

    def command(url: str, seconds: float, _output: Path) -> list[str]:
        words = [word.replace("{url}", url) for word in arguments]
        return fastload(*words, *load(seconds), workers=workers)

    return Generator(name, command, fastload_failures)


def k6(name: str, script: Path, load: Callable[[float], list[str]], environment: Mapping[str, str]) -> Generator:
    """``k6 run`` of *script* on one CPU, with *environment* and the URL for the script."""
    words = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]

    def command(url: str, seconds: float, output: Path) -> list[str]:
        return [*k6_run(), *load(seconds), "-e", f"URL={url}", *words, "--summary-export", str(output), str(script)]

    return Generator(name, command, k6_failures, K6_ENVIRONMENT)


def has_k6() -> bool:
    return Path(find("k6")).is_absolute()


def observe(
    generator: Generator,
    target: tuple[str, TargetOptions],
    cpus: tuple[int, int],
    *,
    window_s: float,
    ramp_s: float = 0.0,
    first_s: float = 0.0,
) -> Observed:
    """Run it on the second of *cpus* against a new target on the first.

    The window of *window_s* begins when the load has risen for *ramp_s* since the first request, and settled.
    *first_s* is what the script may need from its start to that request.
    """
    seconds = first_s + ramp_s + _SETTLE_S + window_s + _SLACK_S
    with shipped(*target, cpus[0]) as server, tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        output, stdout = Path(folder) / "output", Path(folder) / "stdout"
        command = generator.command(server.base_url, seconds, output)
        began_s = time.monotonic()
        with start(command, cpus[1], stdout, dict(generator.environment)) as process:
            if not _wait_first(server, process):
                return Observed(problem="it made no request")
            start_s = time.monotonic() - began_s
            time.sleep(ramp_s + _SETTLE_S)
            before = _moment(server, process.pid)
            time.sleep(window_s)
            after = _moment(server, process.pid)
            memory_bytes = tree_memory_bytes(process.pid)
            ended_early = process.poll() is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            code = process.poll()
        problem = "it ended before the window did" if ended_early else _problem(code)
        told = (output if output.exists() else stdout).read_text()
    report = json.loads(told) if not problem else {"metrics": {}}
    return Observed(
        start_s=start_s,
        seconds=after.at_s - before.at_s,
        requests=after.requests - before.requests,
        memory_bytes=memory_bytes,
        client_cpu_s=after.client_cpu_s - before.client_cpu_s,
        workers_cpu_s=after.workers_cpu_s - before.workers_cpu_s,
        target_cpu_s=after.target_cpu_s - before.target_cpu_s,
        failures=0 if problem else generator.failures(told),
        metrics=report["metrics"],
        problem=problem,
    )


def tree_memory_bytes(pid: int) -> int:
    """The proportional set size of a process and its descendants; memory of the kernel, as of sockets, is not in it."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_full_info().pss
    return total


def _problem(code: int | None) -> str:
    if code is None:
        return f"it did not end within {_END_S:g} s"
    return "" if code in (0, _THRESHOLD_FAILED) else f"it exited with {code}"


def _wait_first(server: RunningTarget, process: subprocess.Popen[bytes]) -> bool:
    """Wait for the first request; False when the client ends without one, or takes too long."""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if _requests(server):
            return True
        time.sleep(_POLL_S)
    return False


def _moment(server: RunningTarget, pid: int) -> _Moment:
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children()
    workers_cpu_s = sum(tree_cpu_s(child.pid) for child in children)
    target_cpu_s = sum(tree_cpu_s(one) for one in server.pids)
    return _Moment(time.monotonic(), _requests(server), tree_cpu_s(pid), workers_cpu_s, target_cpu_s)


def _requests(server: RunningTarget) -> int:
    """How many requests of clients it has answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/stats")
        routes = json.loads(connection.getresponse().read())["routes"]
    finally:
        connection.close()
    return sum(sum(classes.values()) for route, classes in routes.items() if route not in _OWN_ROUTES)
