"""Where the time of one request of a fastload worker goes, by perf's samples of the CPU clock."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.clients import Client, Load, start
from benchmarks.reporting import print_table
from benchmarks.servers import Nginx

_CONNECTIONS = 64
_START_S = 1.5
_SAMPLES_PER_S = "2999"
_GROUPS = (
    ("kernel", r"^\[kernel|^\[guest"),
    ("clock (vdso)", r"^\[vdso"),
    ("pycurl", r"^_?pycurl"),
    ("libcurl", r"libcurl"),
    ("TLS", r"libssl|libcrypto"),
    ("libc", r"^libc[.-]|libpthread|ld-linux"),
    ("Python", r"^(lib)?python"),
    ("uvloop", r"^loop\.cpython"),
    ("numpy", r"^_multiarray|^_umath|openblas"),
    ("msgpack", r"^_cmsgpack"),
)


def where_time_goes(client: Client, server: Nginx, *, cpu: int, window_s: float) -> dict[str, Any]:
    """Microseconds a request of each part of the worker, and of the parent, over *window_s* at 64 connections.

    Without a perf that works, only user and system time are told apart.
    """
    seconds = round(_START_S + window_s + 1.5)
    with tempfile.TemporaryDirectory(prefix="fastload-where-") as folder:
        samples = Path(folder) / "perf.data"
        command = client.command(Load(server.http_url, _CONNECTIONS, seconds), Path(folder) / "output")
        with start(command, cpu, Path(folder) / "stdout", client.environment) as process:
            time.sleep(_START_S)
            parent = psutil.Process(process.pid)
            worker = parent.children()[0]
            before = (server.counters(), worker.cpu_times(), parent.cpu_times())
            recorded = _record(worker.pid, window_s, samples)
            after = (server.counters(), worker.cpu_times(), parent.cpu_times())
            process.wait(seconds + 10)
        shares = _shares(samples) if recorded else {}
    requests = after[0].requests - before[0].requests
    user_us, system_us = ((getattr(after[1], kind) - getattr(before[1], kind)) for kind in ("user", "system"))
    parent_s = sum(getattr(after[2], kind) - getattr(before[2], kind) for kind in ("user", "system"))
    per_request = 1e6 / requests
    return {
        "client": client.name,
        "requests": requests,
        "user_us": user_us * per_request,
        "system_us": system_us * per_request,
        "parent_us": parent_s * per_request,
        "parts_us": {name: share * (user_us + system_us) * per_request for name, share in shares.items()},
    }


def print_where(found: dict[str, Any]) -> None:
    """As a table of microseconds a request."""
    whole_us = found["user_us"] + found["system_us"]
    print(f"\nwhere {whole_us:.2f} us of a request go in the worker of {found['client']}, 64 connections")
    parts = found["parts_us"] or {"user": found["user_us"], "kernel": found["system_us"]}
    if not found["parts_us"]:
        print("(perf does not work here: user and system time only)")
    rows = [[name, f"{value:.2f}", f"{value / whole_us:.0%}"] for name, value in parts.items()]
    print_table(("", "us", "share"), rows)
    print(f"and {found['parent_us']:.2f} us a request in the parent process, which adds up and reports")


def _record(pid: int, seconds: float, samples: Path) -> bool:
    """Sample the process; False when perf is missing or refused."""
    perf = shutil.which("perf")
    if perf is None:
        time.sleep(seconds)
        return False
    options = ["-e", "cpu-clock", "-F", _SAMPLES_PER_S, "-p", str(pid), "-o", str(samples)]
    began_s = time.monotonic()
    done = subprocess.run([perf, "record", *options, "--", "sleep", str(seconds)], capture_output=True)
    time.sleep(max(0.0, seconds - (time.monotonic() - began_s)))
    return done.returncode == 0


def _shares(samples: Path) -> dict[str, float]:
    """The share of the samples by part, greatest first."""
    options = ["--stdio", "--no-children", "--sort", "dso", "-F", "overhead,dso", "-t", "|"]
    told = subprocess.run(["perf", "report", "-i", str(samples), *options], capture_output=True, text=True).stdout
    shares: dict[str, float] = {}
    for percent, library in re.findall(r"^\s*([\d.]+)%?\s*\|(\S+)", told, re.MULTILINE):
        part = next((name for name, pattern in _GROUPS if re.search(pattern, library)), "other")
        shares[part] = shares.get(part, 0.0) + float(percent) / 100
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
