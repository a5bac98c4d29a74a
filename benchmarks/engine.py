"""How many requests a second one core makes, and what each costs: fastload beside wrk, hey and k6.

nginx answers on one CPU and one client at a time runs on another; the clients take turns, so that a machine that
changes its speed changes it for all.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.clients import (
    BENCH,
    HEY,
    K6,
    RUN,
    WRK,
    Client,
    Run,
    comparable_rates,
    is_installed,
    measure,
    print_problems,
)
from benchmarks.reporting import (
    Expectation,
    machine,
    median_ratio,
    parser,
    print_expectations,
    print_machine,
    print_table,
    two_cpus,
    write_json,
)
from benchmarks.servers import Nginx, nginx, raise_file_limit
from benchmarks.where import print_where, where_time_goes

CLIENTS = (BENCH, RUN, WRK, HEY, K6)
HTTPS = "fastload bench, HTTPS"
HTTPS_CONNECTIONS = 64

Runs = dict[str, list[Run]]
"""By client, in the order of the rounds, without the warm-up round."""


def main() -> None:
    """Measure, print, write."""
    options = _options()
    files = raise_file_limit()
    server_cpu, client_cpu = two_cpus()
    described = machine("nginx", "wrk", "hey", "k6")
    print_machine(described)
    print(f"nginx on CPU {server_cpu}, the client on CPU {client_cpu}; at most {files:,} open files a process")
    clients = [client for client in CLIENTS if client.name in options.clients and is_installed(client)]
    found: dict[int, Runs] = {}
    where: dict[str, Any] = {}
    with nginx(server_cpu) as server:
        for connections in options.connections:
            found[connections] = _compare(clients, server, client_cpu, connections, options)
            _print_runs(connections, found[connections])
        if options.where:
            for client in (BENCH, RUN):
                where[client.name] = where_time_goes(client, server, cpu=client_cpu, window_s=options.duration)
                print_where(where[client.name])
    expectations = _expectations(found)
    if found:
        _print_growth(found)
        print_expectations(expectations)
    write_json(
        options.json,
        {
            "machine": described,
            "duration_s": options.duration,
            "runs": {
                connections: {name: [asdict(run) for run in runs] for name, runs in by_name.items()}
                for connections, by_name in found.items()
            },
            "expectations": [asdict(expectation) | {"met": expectation.met} for expectation in expectations],
            "where": where,
        },
    )


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=4.0, rounds=5)
    made.add_argument(
        "--connections", type=int, nargs="*", default=[64, 1000, 10_000], metavar="N", help="[64 1000 10000]"
    )
    names = [client.name for client in CLIENTS]
    made.add_argument("--clients", nargs="*", choices=names, default=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--where", action="store_true", help="also say where the time of a fastload request goes")
    return made.parse_args()


def _compare(clients: list[Client], server: Nginx, cpu: int, connections: int, options: argparse.Namespace) -> Runs:
    """All clients in turns, one round after the other; the first one warms up and is dropped."""
    turns = [(client.name, client, server.http_url) for client in clients]
    if BENCH in clients and connections == HTTPS_CONNECTIONS:
        turns.append((HTTPS, BENCH, server.https_url))
    runs: Runs = {name: [] for name, _, _ in turns}
    for number in range(options.rounds + 1):
        for name, client, url in turns:
            window_s = options.duration if number else min(1.0, options.duration)
            run = measure(client, server, cpu=cpu, url=url, connections=connections, window_s=window_s)
            if number:
                runs[name].append(run)
    return runs


def _print_runs(connections: int, runs: Runs) -> None:
    print(f"\n{connections:,} connections (medians; ratios are medians of those of each round)")
    heads = ("", "requests/s", "CPU us/request", "client CPU", "server CPU", "bench is", "run is", "failed", "reopened")
    print_table(heads, (_row(name, mine, runs) for name, mine in runs.items()))
    print_problems(runs)


def _row(name: str, mine: list[Run], runs: Runs) -> list[str]:
    ratios = (_ratio(runs, fastload, name) for fastload in (BENCH.name, RUN.name))
    return [
        name,
        f"{median(run.requests_per_s for run in mine):,.0f}",
        f"{median(run.cpu_us for run in mine):.2f}",
        f"{median(run.client_busy for run in mine):.0%}",
        f"{median(run.server_busy for run in mine):.0%}",
        *("-" if ratio is None else f"{ratio:.2f}x" for ratio in ratios),
        f"{sum(run.failures for run in mine):,}",
        f"{sum(run.reconnects for run in mine):,}",
    ]


def _print_growth(found: dict[int, Runs]) -> None:
    """What more connections do to each client's rate."""
    first, *others = found
    for connections in others:
        print(f"\n{connections:,} connections against {first:,}: the rate of")
        for name in found[connections]:
            ratio = _growth(found, name, connections, first)
            print(f"  {name:<16} {'-' if ratio is None else f'{ratio:.2f}x'}")


def _rates(runs: Runs, name: str) -> list[float]:
    return comparable_rates(runs.get(name, []))


def _ratio(runs: Runs, name: str, other: str) -> float | None:
    return median_ratio(_rates(runs, name), _rates(runs, other))


def _growth(found: dict[int, Runs], name: str, connections: int, first: int) -> float | None:
    """The median rate at *connections* over that at *first*: they are not of the same round."""
    rates, others = (_rates(found.get(count, {}), name) for count in (connections, first))
    return median(rates) / median(others) if rates and others else None


def _expectations(found: dict[int, Runs]) -> list[Expectation]:
    few, many = found.get(64, {}), found.get(1000, {})
    bench, run, wrk, hey, k6 = (client.name for client in CLIENTS)
    return [
        Expectation("bench over k6, 64 connections", _ratio(few, bench, k6), 3.0),
        Expectation("bench over hey, 64 connections", _ratio(few, bench, hey), 1.2),
        Expectation("bench over wrk, 64 connections", _ratio(few, bench, wrk), 0.48),
        Expectation("run over k6, 64 connections", _ratio(few, run, k6), 2.5),
        Expectation("bench at 1,000 connections over bench at 64", _growth(found, bench, 1000, 64), 0.9),
        Expectation("bench over k6, 1,000 connections", _ratio(many, bench, k6), 4.5),
        Expectation("bench over HTTPS over bench over HTTP, 64 connections", _ratio(few, HTTPS, bench), 0.9),
    ]


if __name__ == "__main__":
    main()
