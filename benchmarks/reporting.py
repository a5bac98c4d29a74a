"""What every benchmark prints and writes: the machine, tables, expectations, JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.clients import find
from fastload.control.sampling.host import describe_host
from fastload.runner import versions

_VERSION_ARGUMENTS = {"wrk": "-v", "k6": "version", "nginx": "-v"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is claimed of a measured *value*: at least, or at most, *bound*. None was not measured."""

    what: str
    value: float | None
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        outcome = {True: "met", False: "NOT MET", None: "not measured"}[self.met]
        value = "-" if self.value is None else f"{self.value:,.4g}"
        return f"{self.what:<58} {sign} {self.bound:>9,.4g}   {value:>10}   {outcome}"


def parser(description: str, *, duration_s: float, rounds: int) -> argparse.ArgumentParser:
    """With the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--duration", type=float, default=duration_s, help="seconds of a window [%(default)s]")
    made.add_argument("--rounds", type=int, default=rounds, help="measured rounds [%(default)s]")
    made.add_argument("--json", metavar="FILE", type=Path, help="write everything measured as JSON")
    return made


def two_cpus() -> tuple[int, int]:
    """The CPUs of the server and of the client.

    Raises:
        SystemExit: there is only one, and the two would measure each other.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("this benchmark needs two CPUs: one for the server, one for the client")
    return allowed[0], allowed[1]


def machine(*programs: str) -> dict[str, Any]:
    """The machine, the versions of fastload and of *programs*, and the load average before the benchmark."""
    host = describe_host()
    return {
        **{key: host[key] for key in ("cpu_model", "cpus", "usable_cpus", "memory_total_bytes")},
        "kernel": platform.release(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "versions": versions() | {program: _version(program) for program in programs},
    }


def print_machine(described: dict[str, Any]) -> None:
    """As text; a load average near or above 1 says that somebody else is using the machine."""
    memory_gb = described["memory_total_bytes"] / 1e9
    print(f"{described['cpu_model']}, {described['cpus']} CPUs, {memory_gb:.0f} GB, Linux {described['kernel']}")
    print("load average before: " + " ".join(map(str, described["load_average"])))
    print(", ".join(f"{name} {version}" for name, version in described["versions"].items()))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns to the right of the first one are aligned right."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    for line in lines:
        first, *rest = (text.rjust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *rest]))


def print_expectations(expectations: Iterable[Expectation]) -> None:
    """Each with the measured value beside it."""
    print("\nexpected" + " " * 63 + "measured")
    for expectation in expectations:
        print(expectation)


def write_json(path: Path | None, data: dict[str, Any]) -> None:
    """To *path*, if there is one."""
    if path is not None:
        path.write_text(json.dumps(data, indent=2) + "\n")
        print(f"\nwritten: {path}")


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float | None:
    """The median of the ratios of runs in the same round; None without rounds, or when something stood still."""
    pairs = list(zip(values, others, strict=False))
    return median(one / other for one, other in pairs) if pairs and all(others) else None


def _version(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or find(program)
    try:
        told = subprocess.run([path, _VERSION_ARGUMENTS.get(program, "--version")], capture_output=True, timeout=10)
    except OSError:
        return "is not installed"
    found = re.search(rb"v?(\d+\.\d+[\w.]*)", told.stdout + told.stderr)
    return found[1].decode() if found else "of unknown version"
