"""What a batch costs the sequencer that ships with fastload, and which rate it holds within its objectives.

The sequencer runs on one CPU, ``fastload bench`` on another. With ``--against`` the sequencer of another copy of the
repository takes turns with this one, under the load of this copy, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.clients import fastload, start, tree_cpu_s
from benchmarks.reporting import machine, median_ratio, parser, print_machine, print_table, two_cpus, write_json

HERE = Path(__file__).resolve().parents[1]
OBJECTIVES_MS = {"med": 20.0, "p(95)": 50.0, "p(99)": 100.0}
_SETTLE_S = 1.0
_LISTENS = re.compile(r"sequencer on (http://\S+) \(pid (\d+)\)")


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run: requests by the sequencer's own count, its CPU by the kernel's, times by the load's."""

    requests_per_s: float
    cpu_us: float
    target_busy: float
    client_busy: float
    times_ms: dict[str, float]
    failed: int

    @property
    def holds(self) -> bool:
        """Whether no request failed and every percentile is below its objective."""
        return not self.failed and all(self.times_ms[name] < bound for name, bound in OBJECTIVES_MS.items())


def main() -> None:
    """Measure, print, write."""
    options = _options()
    described = machine()
    print_machine(described)
    copies = {"this copy": HERE} | ({"the other": options.against.resolve()} if options.against else {})
    written = {}
    for size in options.batch_sizes:
        runs = _in_turns(copies, size, ["-c", str(options.connections)], options)
        _print_full_speed(runs, size, options)
        written[f"{size} events, full speed"] = runs
        for rate in options.rates:
            runs = _in_turns(copies, size, ["--rate", str(rate), "-c", str(options.connections)], options)
            _print_rate(runs, size, rate)
            written[f"{size} events, {rate}/s"] = runs
    found = {
        what: {name: [asdict(run) for run in mine] for name, mine in runs.items()} for what, runs in written.items()
    }
    write_json(options.json, {"machine": described, "duration_s": options.duration, "runs": found})


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=4.0, rounds=5)
    made.add_argument("--against", metavar="DIR", type=Path, help="another copy of the repository")
    made.add_argument("--batch-sizes", type=int, nargs="+", default=[100, 1], help="events in a batch %(default)s")
    made.add_argument("--connections", type=int, default=64, help="[%(default)s]")
    made.add_argument("--rates", type=int, nargs="*", default=[], help="also at so many requests a second, one by one")
    return made.parse_args()


def _in_turns(copies: dict[str, Path], size: int, load: list[str], options: argparse.Namespace) -> dict[str, list[Run]]:
    """The copies in turns, each round with new targets."""
    server_cpu, client_cpu = two_cpus()
    runs: dict[str, list[Run]] = {name: [] for name in copies}
    for number in range(options.rounds):
        # Who goes first changes, because the first one of a round follows a pause.
        for name in list(copies)[:: 1 if number % 2 else -1]:
            with _sequencer(copies[name], server_cpu) as (url, pid):
                command = ["bench", url, "--ingest", "--batch-size", str(size), *load]
                runs[name].append(_measure(command, url, pid, client_cpu, options.duration))
    return runs


@contextlib.contextmanager
def _sequencer(copy: Path, cpu: int) -> Iterator[tuple[str, int]]:
    """Address and process of a new sequencer of *copy* on *cpu* only."""
    command = ["taskset", "-c", str(cpu), sys.executable, "-P", "-m", "fastload", "target", "sequencer"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--rate-limit", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(copy)},
    )
    assert process.stderr is not None
    with process, process.stderr:
        try:
            said = process.stderr.readline()
            found = _LISTENS.search(said)
            if found is None:
                raise SystemExit(f"the sequencer of {copy} does not start: {said}{process.stderr.read()}")
            yield found[1], int(found[2])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _measure(command: list[str], url: str, pid: int, cpu: int, window_s: float) -> Run:
    seconds = math.ceil(window_s + 4 * _SETTLE_S)
    with tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        stdout = Path(folder) / "summary.json"
        with start(fastload(*command, "-d", f"{seconds}s"), cpu, stdout, {}) as process:
            # It has imported what it needs when the first request is counted.
            while not _stored(url) and process.poll() is None:
                time.sleep(0.02)
            time.sleep(_SETTLE_S)
            before = time.monotonic(), _stored(url), tree_cpu_s(pid), tree_cpu_s(process.pid)
            time.sleep(window_s)
            after = time.monotonic(), _stored(url), tree_cpu_s(pid), tree_cpu_s(process.pid)
            if process.poll() is not None:
                raise SystemExit("the load ended before the window did: the machine is too busy to measure")
            process.wait(seconds + 60)
        summary = json.loads(stdout.read_text())
    took_s, requests, target_s, client_s = (late - early for early, late in zip(before, after, strict=True))
    times = summary["metrics"]["http_req_response_time" if "--rate" in command else "http_req_duration"]
    return Run(
        requests_per_s=requests / took_s,
        cpu_us=target_s / requests * 1e6,
        target_busy=target_s / took_s,
        client_busy=client_s / took_s,
        times_ms={name: times[name] for name in OBJECTIVES_MS},
        failed=summary["requests"]["failed"],
    )


def _stored(url: str) -> int:
    """Batches that the sequencer has answered, by its own count."""
    with urllib.request.urlopen(url + "/stats") as reply:
        return int(json.load(reply)["outcomes"].get("stored", 0))


def _print_full_speed(runs: dict[str, list[Run]], size: int, options: argparse.Namespace) -> None:
    print(f"\nbatches of {size}, {options.connections} connections, as fast as they are answered")
    heads = ("", "requests/s", "CPU us/request", "target CPU", "client CPU", "p50 ms", "p95 ms", "p99 ms", "failed")
    print_table(heads, ([name, *_figures(mine)] for name, mine in runs.items()))
    if len(runs) == 2:
        this, other = runs.values()
        rate = median_ratio([run.requests_per_s for run in this], [run.requests_per_s for run in other])
        cpu = median_ratio([run.cpu_us for run in other], [run.cpu_us for run in this])
        print(f"this copy answers {rate:.2f} times the requests of the other; the other takes {cpu:.2f} times the CPU")


def _print_rate(runs: dict[str, list[Run]], size: int, rate: int) -> None:
    print(f"\nbatches of {size} at {rate} a second; the times are those of http_req_response_time")
    heads = ("", "requests/s", "CPU us/request", "target CPU", "client CPU", "p50 ms", "p95 ms", "p99 ms", "failed", "")
    rows = ([name, *_figures(mine), _verdict(mine)] for name, mine in runs.items())
    print_table(heads, rows)


def _verdict(mine: list[Run]) -> str:
    return f"within the objectives in {sum(run.holds for run in mine)} of {len(mine)}"


def _figures(mine: list[Run]) -> list[str]:
    return [
        f"{median(run.requests_per_s for run in mine):,.0f}",
        f"{median(run.cpu_us for run in mine):,.0f}",
        f"{median(run.target_busy for run in mine):.0%}",
        f"{median(run.client_busy for run in mine):.0%}",
        *(f"{median(run.times_ms[name] for run in mine):,.1f}" for name in OBJECTIVES_MS),
        f"{sum(run.failed for run in mine):,}",
    ]


if __name__ == "__main__":
    main()
