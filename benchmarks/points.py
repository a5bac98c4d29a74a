"""What single samples cost: requests a second of one core, and CPU of each, with k6's JSON lines and CSV, and without.

The files are /dev/null, so that no disk is measured. Client and parent share the one CPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

from benchmarks.clients import (
    BENCH,
    K6,
    RUN,
    Client,
    Load,
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
from benchmarks.servers import nginx, raise_file_limit

FORMATS = ("json", "csv")
CONNECTIONS = 64


def main() -> None:
    """Measure, print, write."""
    options = _options()
    raise_file_limit()
    server_cpu, client_cpu = two_cpus()
    described = machine("nginx", "k6")
    print_machine(described)
    bases = [client for client in (BENCH, RUN, K6) if client.name in options.clients and is_installed(client)]
    turns = [one for base in bases for one in (base, *(_with_samples(base, name) for name in FORMATS))]
    runs: dict[str, list[Run]] = {client.name: [] for client in turns}
    with nginx(server_cpu) as server:
        for number in range(options.rounds + 1):
            for client in turns:
                window_s = options.duration if number else min(1.0, options.duration)
                run = measure(
                    client, server, cpu=client_cpu, url=server.http_url, connections=CONNECTIONS, window_s=window_s
                )
                if number:
                    runs[client.name].append(run)
    print(f"\n{CONNECTIONS} connections (medians; ratios are medians of those of each round)")
    heads = ("", "requests/s", "CPU us/request", "client CPU", "rate, with/without", "more CPU us/request", "failed")
    print_table(heads, (_row(base, client, runs) for base in bases for client in _turns_of(base, turns)))
    print_problems(runs)
    expectations = [Expectation(f"{BENCH.name}: {name} over none", _ratio(runs, BENCH, name), 0.3) for name in FORMATS]
    print_expectations(expectations)
    data = {name: [asdict(run) for run in mine] for name, mine in runs.items()}
    write_json(options.json, {"machine": described, "duration_s": options.duration, "runs": data})


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=4.0, rounds=5)
    names = [client.name for client in (BENCH, RUN, K6)]
    made.add_argument("--clients", nargs="*", choices=names, default=names, metavar="NAME", help=", ".join(names))
    return made.parse_args()


def _with_samples(base: Client, name: str) -> Client:
    command: Callable[[Load, Path], list[str]] = base.command

    def with_samples(load: Load, output: Path) -> list[str]:
        words = command(load, output)
        # Options of k6 come before its script.
        return [*words[:-1], "--out", f"{name}=/dev/null", words[-1]]

    return replace(base, name=f"{base.name}, {name}", command=with_samples)


def _turns_of(base: Client, turns: list[Client]) -> list[Client]:
    return [client for client in turns if client.name.partition(", ")[0] == base.name]


def _row(base: Client, client: Client, runs: dict[str, list[Run]]) -> list[str]:
    mine, others = runs[client.name], runs[base.name]
    ratio = median_ratio(comparable_rates(mine), comparable_rates(others))
    more_us = median(run.cpu_us - other.cpu_us for run, other in zip(mine, others, strict=True))
    return [
        client.name,
        f"{median(run.requests_per_s for run in mine):,.0f}",
        f"{median(run.cpu_us for run in mine):.2f}",
        f"{median(run.client_busy for run in mine):.0%}",
        "-" if ratio is None else f"{ratio:.2f}x",
        f"{more_us:.2f}",
        f"{sum(run.failures for run in mine):,}",
    ]


def _ratio(runs: dict[str, list[Run]], base: Client, name: str) -> float | None:
    mine, others = (comparable_rates(runs.get(key, [])) for key in (f"{base.name}, {name}", base.name))
    return median_ratio(mine, others)


if __name__ == "__main__":
    main()
