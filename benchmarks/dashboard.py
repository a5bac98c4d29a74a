"""What a dashboard and those who watch it cost: throughput of one worker without one, with one, and with viewers.

In each round all variants run once, one after the other. The run without a dashboard is there twice: how far these two
differ is the noise in which everything else has to be. Viewers are on the server's CPU and read all that they are sent;
they draw nothing.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from statistics import median

from benchmarks.clients import (
    Client,
    Load,
    Run,
    bench_command,
    comparable_rates,
    fastload_failures,
    measure,
    print_problems,
)
from benchmarks.reporting import (
    Expectation,
    machine,
    parser,
    print_expectations,
    print_machine,
    print_table,
    two_cpus,
    write_json,
)
from benchmarks.servers import free_ports, nginx, raise_file_limit

_NONE, _AGAIN, _UNSEEN = "no dashboard", "no dashboard, again", "dashboard, 0 viewers"
# The share of the throughput that has to be left with viewers.
_LEFT = 0.97
_POLL_S = 0.05
_NOT_YET = -1


def main() -> None:
    """Measure, print, write."""
    options = _options()
    raise_file_limit()
    server_cpu, client_cpu = two_cpus()
    described = machine("nginx")
    print_machine(described)
    seen = f"dashboard, {options.viewers} viewers"
    viewers = {_NONE: None, _AGAIN: None, _UNSEEN: 0, seen: options.viewers}
    runs: dict[str, list[Run]] = {name: [] for name in viewers}
    with nginx(server_cpu) as server:
        run = partial(measure, server=server, cpu=client_cpu, url=server.http_url, connections=options.connections)
        # The first round warms up.
        for number in range(options.rounds + 1):
            for name, watching in viewers.items():
                made = _run(partial(run, window_s=options.duration), name, watching, server_cpu, options.duration)
                if number:
                    runs[name].append(made)
    print(f"\none worker, {options.connections} connections, {options.rounds} rounds of {options.duration:g} s")
    print_table(("", "requests/s", "CPU us/request", "of none", "from", "to"), [_row(name, runs) for name in runs])
    print_problems(runs)
    ratios = _ratios(runs, seen)
    value = median(ratios) if ratios else None
    print_expectations([Expectation(f"throughput with {options.viewers} viewers, of that without", value, _LEFT)])
    told = {name: [asdict(one) for one in mine] for name, mine in runs.items()}
    write_json(options.json, {"machine": described, "runs": told})


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=5.0, rounds=7)
    made.add_argument("--viewers", type=int, default=3, help="how many watch [%(default)s]")
    made.add_argument("--connections", type=int, default=64, help="connections [%(default)s]")
    return made.parse_args()


def _run(run: Callable[[Client], Run], name: str, viewers: int | None, viewers_cpu: int, window_s: float) -> Run:
    """One run; with None for *viewers* it has no dashboard."""
    port = free_ports()[0]

    def command(load: Load, output: Path) -> list[str]:
        return bench_command(load, output) + ([] if viewers is None else ["--dashboard", str(port)])

    with _watching(viewers or 0, port, viewers_cpu) as events:
        made = run(Client(name, command, fastload_failures))
        least = min((count.value for count in events), default=window_s)
    if least < window_s:
        made = Run(**asdict(made) | {"problem": f"a viewer got {least} events in {window_s:g} s"})
    return made


@contextmanager
def _watching(viewers: int, port: int, cpu: int) -> Iterator[list[Synchronized[int]]]:
    """So many processes on *cpu* that watch the dashboard on *port*, and how many events each got so far."""
    context = multiprocessing.get_context("spawn")
    events: list[Synchronized[int]] = [context.Value("q", _NOT_YET) for _ in range(viewers)]
    processes = [context.Process(target=_watch, args=(port, cpu, count), daemon=True) for count in events]
    for process in processes:
        process.start()
    try:
        # A Python that starts takes a good part of the server's CPU.
        while any(count.value == _NOT_YET for count in events):
            time.sleep(_POLL_S)
        yield events
    finally:
        for process in processes:
            process.kill()
            process.join()


def _watch(port: int, cpu: int, events: Synchronized[int]) -> None:
    os.sched_setaffinity(0, {cpu})
    events.value = 0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/events")
            for line in connection.getresponse():
                events.value += line.startswith(b"event: data")
            return
        except OSError:
            # It does not serve yet.
            time.sleep(_POLL_S)
        finally:
            connection.close()


def _ratios(runs: dict[str, list[Run]], name: str) -> list[float]:
    """The throughput of each round as a share of that without a dashboard."""
    pairs = zip(comparable_rates(runs[name]), comparable_rates(runs[_NONE]), strict=False)
    return [one / none for one, none in pairs if none]


def _row(name: str, runs: dict[str, list[Run]]) -> tuple[str, ...]:
    rates, ratios = comparable_rates(runs[name]), _ratios(runs, name)
    if not ratios:
        return name, "-", "-", "-", "-", "-"
    cpu_us = median(run.cpu_us for run in runs[name])
    shares = (median(ratios), min(ratios), max(ratios))
    return name, f"{median(rates):,.0f}", f"{cpu_us:.2f}", *(f"{share:.3f}" for share in shares)


if __name__ == "__main__":
    main()
