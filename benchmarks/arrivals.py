"""How late iterations start at a constant arrival rate: one worker on one CPU, one GET each, nginx on another CPU."""

from __future__ import annotations

import argparse
import json
import subprocess
from statistics import median
from typing import Any

from hdrh.histogram import HdrHistogram

from benchmarks.clients import SCRIPTS, fastload
from benchmarks.reporting import machine, parser, print_machine, print_table, two_cpus, write_json
from benchmarks.servers import nginx, raise_file_limit

_QUANTILES = (50.0, 90.0, 99.0, 99.9)
_ON_TIME_US = 1000
_WARM_UP_S = 1.0


def main() -> None:
    """Measure, print, write."""
    options = _options()
    raise_file_limit()
    server_cpu, client_cpu = two_cpus()
    described = machine("nginx")
    print_machine(described)
    with nginx(server_cpu) as server:
        _run(server.http_url, client_cpu, _WARM_UP_S, options)
        runs = [_run(server.http_url, client_cpu, options.duration, options) for _ in range(options.rounds)]
    print(f"\niteration_lateness at {options.rate:,} starts a second, microseconds")
    heads = ("", *(f"p{quantile:g}" for quantile in _QUANTILES), "max", "within 1 ms", "starts", "dropped", "verdict")
    print_table(heads, [*(_row(f"round {number}", run) for number, run in enumerate(runs, 1)), _medians(runs)])
    write_json(options.json, {"machine": described, "rate_per_s": options.rate, "runs": runs})


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=5.0, rounds=5)
    made.add_argument("--rate", type=int, default=5000, help="starts a second [%(default)s]")
    made.add_argument("--max-vus", type=int, default=1000, help="most VUs at the same time [%(default)s]")
    return made.parse_args()


def _run(url: str, cpu: int, duration_s: float, options: argparse.Namespace) -> dict[str, Any]:
    """The lateness of one run, in microseconds, and what fastload says of itself."""
    load = ["-r", str(options.rate), "-d", f"{duration_s}s", "--max-vus", str(options.max_vus), "--base-url", url]
    command = ["taskset", "-c", str(cpu), *fastload("run", str(SCRIPTS / "get.py"), *load)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=duration_s + 60, check=True)
    summary = json.loads(done.stdout)
    lateness = summary["metrics"]["iteration_lateness"]
    histogram = HdrHistogram.decode(summary["histograms"]["iteration_lateness"])
    total = histogram.get_total_count()
    return {
        "lateness_us": {f"p{quantile:g}": histogram.get_value_at_percentile(quantile) for quantile in _QUANTILES}
        | {"max": round(lateness["max"] * 1000)},
        "within_1_ms": _count_to(histogram, _ON_TIME_US) / total,
        "starts": total,
        "dropped": summary["metrics"]["dropped_iterations"]["count"],
        "failed": summary["requests"]["failed"],
        "verdict": summary["verdict"]["state"],
    }


def _count_to(histogram: Any, value: int) -> int:
    """How many values are *value* or less."""
    return sum(
        step.count_added_in_this_iter_step
        for step in histogram.get_recorded_iterator()
        if step.value_iterated_to <= value
    )


def _row(name: str, run: dict[str, Any]) -> list[str]:
    times = [f"{value:,.0f}" for value in run["lateness_us"].values()]
    counts = [f"{run['starts']:,.0f}", f"{run['dropped']:,.0f}"]
    return [name, *times, f"{run['within_1_ms']:.3%}", *counts, run["verdict"]]


def _medians(runs: list[dict[str, Any]]) -> list[str]:
    middle = {key: median(run[key] for run in runs) for key in ("within_1_ms", "starts", "dropped")}
    lateness = {key: median(run["lateness_us"][key] for run in runs) for key in runs[0]["lateness_us"]}
    return _row("median", {**middle, "lateness_us": lateness, "verdict": ""})


if __name__ == "__main__":
    main()
