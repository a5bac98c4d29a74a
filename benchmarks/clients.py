"""The load generators under comparison: how each is called, and one measured run of one of them.

Rates and CPU are taken the same way for all: by the server's own count of requests and the kernel's count of CPU
time, over a window that begins when every connection is open. So start-up, ramp and end belong to nobody's rate.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from benchmarks.servers import Counters, Nginx

SCRIPTS = Path(__file__).resolve().parent / "scripts"
_POLL_S = 0.02
_SETTLE_S = 0.3
_SLACK_S = 2.5
_CONNECT_S = 60.0
_STATUS_CONNECTIONS = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What a client is asked for. *seconds* are whole, because wrk knows no others."""

    url: str
    connections: int
    seconds: int
    batch_size: int = 100


@dataclass(frozen=True, slots=True)
class Client:
    """A load generator: ``command(load, output)`` may have it write *output*; ``failures(text)`` counts those that
    its output, or else its stdout, tells of. ``{}`` of environment is added to this process's."""

    name: str
    command: Callable[[Load, Path], list[str]]
    failures: Callable[[str], int]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run. *cpu_us* is the client's a request, user and system, over all its processes."""

    requests_per_s: float
    cpu_us: float
    client_busy: float
    server_busy: float
    reconnects: int
    failures: int
    problem: str = ""


def fastload(*arguments: str, workers: int = 1) -> list[str]:
    """The command line of fastload in this Python, with its summary as JSON on stdout."""
    return [sys.executable, "-m", "fastload", *arguments, "-w", str(workers), "-q", "--json"]


def bench_command(load: Load, _output: Path) -> list[str]:
    return fastload("bench", load.url + "/", "-c", str(load.connections), "-d", f"{load.seconds}s", "-k")


def run_command(load: Load, _output: Path) -> list[str]:
    script = str(SCRIPTS / "get.py")
    return fastload("run", script, "-u", str(load.connections), "-d", f"{load.seconds}s", "--base-url", load.url)


def ingest_command(load: Load, _output: Path) -> list[str]:
    size, connections = str(load.batch_size), str(load.connections)
    return fastload("bench", load.url, "--ingest", "--batch-size", size, "-c", connections, "-d", f"{load.seconds}s")


def wrk_command(load: Load, _output: Path) -> list[str]:
    sizes = ["-t1", f"-c{load.connections}", f"-d{load.seconds}s"]
    return [find("wrk"), *sizes, "--timeout", "60s", load.url + "/"]


def hey_command(load: Load, _output: Path) -> list[str]:
    return [find("hey"), "-cpus", "1", "-c", str(load.connections), "-z", f"{load.seconds}s", "-t", "60", load.url]


def k6_command(load: Load, output: Path, *, script: str = "get.js") -> list[str]:
    sizes = ["--vus", str(load.connections), "--duration", f"{load.seconds}s", "-e", f"URL={load.url}"]
    batches = ["-e", f"BATCH_SIZE={load.batch_size}"]
    return [*k6_run(), *sizes, *batches, "--summary-export", str(output), str(SCRIPTS / script)]


def k6_run() -> list[str]:
    """``k6 run`` without its usage report and its control port."""
    return [find("k6"), "run", "--quiet", "--no-usage-report", "--address", ""]


def fastload_failures(text: str) -> int:
    """Failed requests and lost workers of a summary."""
    summary = json.loads(text)
    return int(summary["requests"]["failed"] + sum(worker["lost"] for worker in summary["workers"]))


def wrk_failures(text: str) -> int:
    """Socket errors of every kind, and responses that are no 2xx or 3xx."""
    found = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = sum(map(int, found.groups())) if found else 0
    return errors + (int(bad[1]) if bad else 0)


def hey_failures(text: str) -> int:
    """Errors, and responses with a status other than 200."""
    errors = text.partition("Error distribution:")[2]
    statuses = re.findall(r"\[(\d{3})\]\s+(\d+) responses", text)
    bad = sum(int(count) for code, count in statuses if code != "200")
    return bad + sum(map(int, re.findall(r"\[(\d+)\]", errors)))


def k6_failures(text: str) -> int:
    """Requests that k6 counts in ``http_req_failed``."""
    return int(json.loads(text)["metrics"]["http_req_failed"]["passes"])


BENCH = Client("fastload bench", bench_command, fastload_failures)
RUN = Client("fastload run", run_command, fastload_failures)
INGEST = Client("fastload ingest", ingest_command, fastload_failures)
WRK = Client("wrk", wrk_command, wrk_failures)
HEY = Client("hey", hey_command, hey_failures, {"GOMAXPROCS": "1"})
K6 = Client("k6", k6_command, k6_failures, {"GOMAXPROCS": "1"})
K6_INGEST = Client("k6 ingest", partial(k6_command, script="ingest.js"), k6_failures, {"GOMAXPROCS": "1"})
K6_PLAIN = Client("k6 ingest, plain", partial(k6_command, script="ingest_plain.js"), k6_failures, {"GOMAXPROCS": "1"})


def find(program: str) -> str:
    """The program beside this Python, or on the PATH; its bare name when it is in neither."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return shutil.which(program, path=path) or program


def is_installed(client: Client) -> bool:
    """Whether the program of *client* is here."""
    return Path(client.command(Load("", 1, 1), Path())[0]).is_absolute()


def comparable_rates(runs: Iterable[Run]) -> list[float]:
    """Requests a second of each run; none at all when one of them had a failure or a problem."""
    mine = list(runs)
    return [] if any(run.problem or run.failures for run in mine) else [run.requests_per_s for run in mine]


def print_problems(runs: Mapping[str, list[Run]]) -> None:
    """Name each client that cannot be compared, and why."""
    for name, mine in runs.items():
        for problem in sorted({run.problem for run in mine} - {""}):
            print(f"NOT COMPARABLE: {name}: {problem}")
        if failures := sum(run.failures for run in mine):
            print(f"NOT COMPARABLE: {name}: {failures:,} failed requests")


def measure(
    client: Client, server: Nginx, *, cpu: int, url: str, connections: int, window_s: float, batch_size: int = 100
) -> Run:
    """Run *client* on *cpu* against *server* and measure it for *window_s* while all *connections* are open."""
    seconds = math.ceil(window_s + _SETTLE_S + _SLACK_S + connections / 2000)
    load = Load(url, connections, seconds, batch_size)
    with tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        output = Path(folder) / "output"
        with start(client.command(load, output), cpu, Path(folder) / "stdout", client.environment) as process:
            problem = _wait_open(server, process, connections)
            time.sleep(_SETTLE_S)
            before = _sample(server, process)
            time.sleep(window_s)
            after = _sample(server, process)
            if process.poll() is not None:
                problem = problem or "it ended before the window did"
            process.wait(_CONNECT_S + seconds)
        told = output if output.exists() else Path(folder) / "stdout"
        failures = client.failures(told.read_text()) if process.returncode == 0 else 0
    if process.returncode:
        problem = f"it exited with {process.returncode}"
    return _run_of(before, after, failures, problem)


@contextlib.contextmanager
def start(command: list[str], cpu: int, stdout: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process of *command*, on *cpu* only, for the length of the block; it is killed at its end."""
    with stdout.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=os.environ | environment,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def tree_cpu_s(pid: int) -> float:
    """User and system time of a process and its descendants so far."""
    used_s = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            times = process.cpu_times()
            used_s += times.user + times.system
    return used_s


def _wait_open(server: Nginx, process: subprocess.Popen[bytes], connections: int) -> str:
    """Wait until so many connections are open; says what is wrong when they never are."""
    deadline_s = time.monotonic() + _CONNECT_S
    most = 0
    while time.monotonic() < deadline_s and process.poll() is None:
        most = max(most, server.counters().open - _STATUS_CONNECTIONS)
        if most >= connections:
            return ""
        time.sleep(_POLL_S)
    return f"it had at most {most} of {connections} connections open"


def _sample(server: Nginx, process: subprocess.Popen[bytes]) -> tuple[Counters, float, float]:
    return server.counters(), tree_cpu_s(process.pid), server.cpu_s


def _run_of(
    before: tuple[Counters, float, float], after: tuple[Counters, float, float], failures: int, problem: str
) -> Run:
    seconds = after[0].at_s - before[0].at_s
    requests = after[0].requests - before[0].requests - 1
    client_s, server_s = after[1] - before[1], after[2] - before[2]
    return Run(
        requests_per_s=requests / seconds,
        cpu_us=client_s / requests * 1e6 if requests else 0.0,
        client_busy=client_s / seconds,
        server_busy=server_s / seconds,
        reconnects=after[0].accepted - before[0].accepted,
        failures=failures,
        problem=problem,
    )
