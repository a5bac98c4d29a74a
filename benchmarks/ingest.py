"""What it costs to ingest fresh batches of events: fastload beside k6, and fastload against its own sequencer.

Every batch is new: ids, payloads and the SHA-256 of each payload's canonical JSON. nginx reads and drops them on one
CPU while one client at a time makes and sends them on another.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.clients import (
    INGEST,
    K6_INGEST,
    K6_PLAIN,
    SCRIPTS,
    Client,
    Load,
    Run,
    comparable_rates,
    is_installed,
    k6_run,
    measure,
    print_problems,
    start,
    tree_cpu_s,
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
from benchmarks.servers import nginx, on_cpu, raise_file_limit, shipped
from fastload.load.executors.request_sources import SequencerIngest
from fastload.targets import SequencerOptions

CLIENTS = (INGEST, K6_INGEST, K6_PLAIN)
_K6_SCRIPTS = {K6_INGEST.name: "ingest.js", K6_PLAIN.name: "ingest_plain.js"}
_BATCHES = 300
_SETTLE_S = 1.5


def main() -> None:
    """Measure, print, write."""
    options = _options()
    raise_file_limit()
    server_cpu, client_cpu = two_cpus()
    described = machine("nginx", "k6")
    print_machine(described)
    clients = [client for client in CLIENTS if is_installed(client)]
    body_bytes = len(SequencerIngest("", batch_size=options.batch_size).body())
    print(f"batches of {options.batch_size} events, {body_bytes:,} bytes; {options.connections} connections")
    runs = _compare(clients, server_cpu, client_cpu, options)
    batch_us = _time_batches(clients, client_cpu, options)
    print()
    heads = ("", "requests/s", "events/s", "MB/s", "CPU us/request", "server CPU", "us to make a batch", "failed")
    print_table(heads, (_row(name, mine, body_bytes, batch_us, options) for name, mine in runs.items()))
    print_problems(runs)
    sequencer = [_sequencer_run(server_cpu, client_cpu, options) for _ in range(options.rounds * options.sequencer)]
    _print_sequencer(sequencer, options.batch_size)
    expectations = _expectations(runs, options.batch_size)
    print_expectations(expectations)
    write_json(
        options.json,
        {
            "machine": described,
            "duration_s": options.duration,
            "batch_size": options.batch_size,
            "body_bytes": body_bytes,
            "connections": options.connections,
            "runs": {name: [asdict(run) for run in mine] for name, mine in runs.items()},
            "batch_us": batch_us,
            "sequencer": sequencer,
            "expectations": [asdict(expectation) | {"met": expectation.met} for expectation in expectations],
        },
    )


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=4.0, rounds=5)
    made.add_argument("--connections", type=int, default=64, help="[%(default)s]")
    made.add_argument("--batch-size", type=int, default=100, help="events in a batch [%(default)s]")
    made.add_argument("--sequencer", action="store_true", help="also ingest into the sequencer that ships with it")
    return made.parse_args()


def _compare(
    clients: list[Client], server_cpu: int, client_cpu: int, options: argparse.Namespace
) -> dict[str, list[Run]]:
    """The clients in turns; the first round warms up and is dropped."""
    runs: dict[str, list[Run]] = {client.name: [] for client in clients}
    with nginx(server_cpu) as server:
        for number in range(options.rounds + 1):
            for client in clients:
                run = measure(
                    client,
                    server,
                    cpu=client_cpu,
                    url=server.http_url,
                    connections=options.connections,
                    window_s=options.duration if number else min(1.0, options.duration),
                    batch_size=options.batch_size,
                )
                if number:
                    runs[client.name].append(run)
    return runs


def _time_batches(clients: list[Client], cpu: int, options: argparse.Namespace) -> dict[str, float]:
    """Microseconds to make one batch on *cpu*, nothing else running: the median of the rounds."""
    with on_cpu(cpu):
        rounds = [[_time_us(client, options.batch_size) for client in clients] for _ in range(options.rounds)]
    return {client.name: median(times) for client, times in zip(clients, zip(*rounds, strict=True), strict=True)}


def _time_us(client: Client, batch_size: int) -> float:
    script = _K6_SCRIPTS.get(client.name)
    return _time_k6_us(script, batch_size) if script else _time_fastload_us(batch_size)


def _time_fastload_us(batch_size: int) -> float:
    source = SequencerIngest("", batch_size=batch_size)
    before_s = time.perf_counter()
    for _ in range(_BATCHES):
        source.body()
    return (time.perf_counter() - before_s) / _BATCHES * 1e6


def _time_k6_us(script: str, batch_size: int) -> float:
    """By k6's own ``iteration_duration`` of the same script that sends nothing."""
    with tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        output = Path(folder) / "summary.json"
        sizes = ["--vus", "1", "--iterations", str(_BATCHES), "-e", "BUILD_ONLY=1", "-e", f"BATCH_SIZE={batch_size}"]
        command = [*k6_run(), *sizes, "--summary-export", str(output), str(SCRIPTS / script)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | K6_INGEST.environment)
        return float(json.loads(output.read_text())["metrics"]["iteration_duration"]["med"]) * 1000


def _sequencer_run(server_cpu: int, client_cpu: int, options: argparse.Namespace) -> dict[str, float]:
    """One run against a new sequencer; rates by fastload's own count, CPU as a share of one, of the middle part."""
    seconds = round(options.duration + 2 * _SETTLE_S)
    with shipped("sequencer", SequencerOptions(rate_limit_per_minute=0), server_cpu) as target:
        load = Load(target.base_url, options.connections, seconds, options.batch_size)
        return _drive_sequencer(load, target.pids[0], client_cpu)


def _drive_sequencer(load: Load, target_pid: int, client_cpu: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        stdout = Path(folder) / "summary.json"
        with start(INGEST.command(load, Path()), client_cpu, stdout, {}) as process:
            time.sleep(_SETTLE_S)
            before_s, target_s, client_s = time.monotonic(), tree_cpu_s(target_pid), tree_cpu_s(process.pid)
            time.sleep(load.seconds - 2 * _SETTLE_S)
            seconds = time.monotonic() - before_s
            target_busy = (tree_cpu_s(target_pid) - target_s) / seconds
            client_busy = (tree_cpu_s(process.pid) - client_s) / seconds
            process.wait(load.seconds + 30)
        summary = json.loads(stdout.read_text())
    rate = float(summary["metrics"]["http_reqs"]["rate"])
    return {
        "requests_per_s": rate,
        "failed": summary["requests"]["failed"],
        "target_busy": target_busy,
        "client_busy": client_busy,
        "p50_ms": summary["metrics"]["http_req_duration"]["med"],
    }


def _row(
    name: str, mine: list[Run], body_bytes: int, batch_us: dict[str, float], options: argparse.Namespace
) -> list[str]:
    rate = median(run.requests_per_s for run in mine)
    return [
        name,
        f"{rate:,.0f}",
        f"{rate * options.batch_size:,.0f}",
        f"{rate * body_bytes / 1e6:,.0f}",
        f"{median(run.cpu_us for run in mine):,.0f}",
        f"{median(run.server_busy for run in mine):.0%}",
        f"{batch_us[name]:,.0f}",
        f"{sum(run.failures for run in mine):,}",
    ]


def _print_sequencer(runs: list[dict[str, Any]], batch_size: int) -> None:
    if not runs:
        return
    middle = {key: median(run[key] for run in runs) for key in runs[0]}
    rate = middle["requests_per_s"]
    print(f"\nthe sequencer that ships with it: {rate:,.0f} requests/s, {rate * batch_size:,.0f} events/s,")
    print(f"p50 {middle['p50_ms']:.1f} ms, sequencer {middle['target_busy']:.0%} of its CPU,", end=" ")
    print(f"fastload {middle['client_busy']:.0%} of its own, {sum(run['failed'] for run in runs):,} failed")


def _expectations(runs: dict[str, list[Run]], batch_size: int) -> list[Expectation]:
    rates, others, plain = (comparable_rates(runs.get(client.name, [])) for client in CLIENTS)
    rate = median(rates) if rates else None
    return [
        Expectation("ingest over k6 (its fastest script), requests/s", median_ratio(rates, others), 15.0),
        Expectation("ingest over k6 (a plain script), requests/s", median_ratio(rates, plain), 15.0),
        Expectation("ingest, requests/s", rate, 3000.0),
        Expectation("ingest, events/s", None if rate is None else rate * batch_size, 300_000.0),
    ]


if __name__ == "__main__":
    main()
