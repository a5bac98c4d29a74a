"""What the tests of three systems cost the machine that makes the load: fastload beside k6.

The widget at 10,000 users with their pauses: memory, CPU time, late timers. The ingest at several batch sizes: events a
second, and the share of CPU that goes into making payloads. The score with a million addresses: memory at 1 and 4
workers. The shipped targets answer on one CPU while one client at a time runs on another.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.clients import SCRIPTS, k6_run
from benchmarks.observing import K6_ENVIRONMENT, Generator, Observed, fastload_run, has_k6, k6, observe
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
from benchmarks.servers import on_cpu, raise_file_limit
from fastload.load.executors.request_sources import SequencerIngest
from fastload.targets import ScoreOptions, SequencerOptions, WidgetOptions
from scenarios.ingest import batch

SYSTEMS = ("widget", "ingest", "score")
SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
PAUSE_S = 0.1
_KEY = "benchmark"
_SCORER = "1"
_FEW_ADDRESSES = 1
_PAYLOAD_S = 0.5
_K6_EVENTS = 20_000
_TURNS = 3
_LATENESS = ("med", "p(99)", "max")

Cpus = tuple[int, int]
"""Of the target and of the client."""
Runs = dict[str, list[Observed]]
"""By what was run, in the order of the rounds."""


def main() -> None:
    """Measure, print, write."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    files = raise_file_limit()
    cpus = two_cpus()
    described = machine("k6")
    print_machine(described)
    print(f"targets on CPU {cpus[0]}, clients on CPU {cpus[1]}; at most {files:,} open files a process")
    parts = {"widget": _widget, "ingest": _ingest, "score": _score}
    expectations: list[Expectation] = []
    found: dict[str, Any] = {}
    for name in options.systems:
        found[name], expected = parts[name](cpus, options)
        expectations += expected
    if expectations:
        print_expectations(expectations)
    write_json(
        options.json,
        {
            "machine": described,
            "options": {key: value for key, value in vars(options).items() if key != "json"},
            **found,
            "expectations": [asdict(expectation) | {"met": expectation.met} for expectation in expectations],
        },
    )


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=10.0, rounds=3)
    made.add_argument("--systems", nargs="*", choices=SYSTEMS, default=SYSTEMS, metavar="NAME", help=", ".join(SYSTEMS))
    made.add_argument("--vus", type=int, default=10_000, help="users of the widget [%(default)s]")
    made.add_argument("--k6-vus", type=int, default=2000, help="the same for k6; 0.2 to 1 MB each [%(default)s]")
    made.add_argument("--ramp", type=float, default=20.0, help="seconds until all users are there [%(default)s]")
    made.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[10, 50, 100, 500], metavar="N", help="[10 50 100 500]"
    )
    made.add_argument("--ingest-vus", type=int, default=100, help="users of the ingest [%(default)s]")
    made.add_argument("--addresses", type=int, default=1_000_000, help="rows of the score's file [%(default)s]")
    made.add_argument("--score-vus", type=int, default=10, help="users of the score [%(default)s]")
    return made.parse_args()


# The widget.


def _widget(cpus: Cpus, options: argparse.Namespace) -> tuple[dict[str, Any], list[Expectation]]:
    """Each client with one user, and with all."""
    sizes = {"fastload": options.vus} | ({"k6": options.k6_vus} if has_k6() else {})
    runs: Runs = {}
    for _ in range(options.rounds):
        for name, vus in sizes.items():
            for count, ramp_s in ((1, 0.0), (vus, options.ramp)):
                generator = _widget_generator(name, count, ramp_s)
                run = observe(generator, ("widget", _widget_options()), cpus, ramp_s=ramp_s, window_s=options.duration)
                runs.setdefault(f"{name}, {count:,}", []).append(run)
    print(f"\nwidget: handshakes with pauses, {options.duration:g} s of each run")
    heads = ("", "memory MB", "KB a VU", "requests/s", "client CPU s", "us/request", "target CPU s", "late p50 ms")
    rows, per_vu = [], {}
    for name, vus in sizes.items():
        idle, loaded = runs[f"{name}, 1"], runs[f"{name}, {vus:,}"]
        per_vu[name] = _kb_per_vu(idle, loaded, vus)
        rows += [_widget_row(f"{name}, 1 VU", idle, None), _widget_row(f"{name}, {vus:,} VUs", loaded, per_vu[name])]
    print_table((*heads, "p99 ms", "max ms", "loop lag p99", "max", "failed"), rows)
    _print_problems(runs)
    what = f"widget at {options.vus:,} VUs: KB of memory a VU above an idle run"
    return {"vus": sizes, "kb_per_vu": per_vu, "runs": _plain(runs)}, [
        Expectation(what, per_vu["fastload"], 25.0, at_most=True)
    ]


def _widget_options() -> WidgetOptions:
    return WidgetOptions(api_key="", rate_limit_per_minute=0)


def _widget_generator(name: str, vus: int, ramp_s: float) -> Generator:
    def load(seconds: float) -> list[str]:
        if not ramp_s:
            return ["--vus", str(vus), "--duration", f"{seconds:g}s"]
        return ["--stage", f"{ramp_s:g}s:{vus},{seconds - ramp_s:g}s:{vus}"]

    if name == "k6":
        return k6(name, SCRIPTS / "widget.js", load, {})
    return fastload_run(name, "run", str(SCRIPTS / "widget.py"), "--base-url", "{url}", load=load)


def _kb_per_vu(idle: list[Observed], loaded: list[Observed], vus: int) -> float | None:
    """Memory above that of the run with one VU in the same round; the median of the rounds."""
    if vus < 2 or any(run.problem for run in (*idle, *loaded)):
        return None
    return median(
        (many.memory_bytes - one.memory_bytes) / (vus - 1) / 1000 for one, many in zip(idle, loaded, strict=True)
    )


def _widget_row(name: str, mine: list[Observed], kb_per_vu: float | None) -> list[str]:
    return [
        name,
        f"{_median(mine, 'memory_bytes') / 1e6:,.1f}",
        "" if kb_per_vu is None else f"{kb_per_vu:,.1f}",
        f"{_median(mine, 'requests_per_s'):,.0f}",
        f"{_median(mine, 'client_cpu_s'):.2f}",
        f"{_us_per_request(mine):,.0f}",
        f"{_median(mine, 'target_cpu_s'):.2f}",
        *(_metric(mine, "sleep_lateness", value) for value in _LATENESS),
        *(_metric(mine, "loop_lag", value) for value in _LATENESS[1:]),
        f"{sum(run.failures for run in mine):,}",
    ]


# The ingest.


def _ingest(cpus: Cpus, options: argparse.Namespace) -> tuple[dict[str, Any], list[Expectation]]:
    """Each client with each batch size, and what it takes to make its batches."""
    runs: dict[int, Runs] = {size: {} for size in options.batch_sizes}
    batch_us: dict[int, dict[str, list[float]]] = {size: {} for size in options.batch_sizes}
    target = ("sequencer", SequencerOptions(api_key="", rate_limit_per_minute=0))
    for size in options.batch_sizes:
        for _ in range(options.rounds):
            for generator in _ingest_generators(size, options.ingest_vus):
                made_us = _batch_us(generator.name, size, cpus[1])
                # A script that is busy with its batches makes few requests, all users at the same time.
                turns_s = _TURNS * options.ingest_vus * made_us / 1e6
                window_s = max(options.duration, turns_s)
                run = observe(generator, target, cpus, window_s=window_s, first_s=turns_s)
                runs[size].setdefault(generator.name, []).append(run)
                batch_us[size].setdefault(generator.name, []).append(made_us)
    print(f"\ningest into the sequencer, {options.ingest_vus} users; all but bench pause {PAUSE_S:g} s")
    heads = ("events a batch", "", "events/s", "requests/s", "CPU us/event", "us to make a batch", "payload share")
    rows = [
        _ingest_row(size, name, mine, batch_us[size][name])
        for size, by_name in runs.items()
        for name, mine in by_name.items()
    ]
    print_table((*heads, "client CPU", "target CPU", "failed"), rows)
    for size, by_name in runs.items():
        _print_problems(by_name, f"{size} a batch, ")
    return {"batch_us": batch_us, "runs": {size: _plain(by_name) for size, by_name in runs.items()}}, []


def _ingest_generators(size: int, vus: int) -> Iterator[Generator]:
    def load(seconds: float) -> list[str]:
        return ["--vus", str(vus), "--duration", f"{seconds:g}s"]

    def connections(seconds: float) -> list[str]:
        return ["--batch-size", str(size), "-c", str(vus), "-d", f"{seconds:g}s"]

    script = str(SCENARIOS / "ingest.py")
    yield fastload_run("fastload run", "run", script, "--base-url", "{url}", "-e", f"BATCH_SIZE={size}", load=load)
    yield fastload_run("fastload bench", "bench", "{url}", "--ingest", load=connections)
    if has_k6():
        environment = {"BATCH_SIZE": str(size), "PAUSE_S": str(PAUSE_S)}
        yield k6("k6", SCRIPTS / "ingest.js", load, environment)
        yield k6("k6, plain", SCRIPTS / "ingest_plain.js", load, environment)


def _batch_us(name: str, size: int, cpu: int) -> float:
    """Microseconds of CPU to make one batch on *cpu*, with nothing sent."""
    if name.startswith("k6"):
        script, count = SCRIPTS / ("ingest_plain.js" if "plain" in name else "ingest.js"), max(40, _K6_EVENTS // size)
        with on_cpu(cpu):
            few_s, many_s = (_k6_batches_s(script, size, batches) for batches in (1, count))
        return (many_s - few_s) / (count - 1) * 1e6
    source = SequencerIngest("", batch_size=size)
    make: Callable[[], bytes] = source.body if name == "fastload bench" else lambda: orjson.dumps(batch(size))
    with on_cpu(cpu):
        make()
        before_s, count = time.process_time(), 0
        while (used_s := time.process_time() - before_s) < _PAYLOAD_S:
            make()
            count += 1
    return used_s / count * 1e6


def _k6_batches_s(script: Path, size: int, count: int) -> float:
    """CPU seconds of a k6 that makes so many batches and sends none."""
    sizes = ["--vus", "1", "--iterations", str(count), "-e", "BUILD_ONLY=1", "-e", f"BATCH_SIZE={size}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*k6_run(), *sizes, str(script)], check=True, capture_output=True, env=os.environ | K6_ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ingest_row(size: int, name: str, mine: list[Observed], batch_us: list[float]) -> list[str]:
    rate = _median(mine, "requests_per_s")
    return [
        f"{size:,}",
        name,
        f"{rate * size:,.0f}",
        f"{rate:,.0f}",
        f"{_us_per_request(mine) / size:,.2f}",
        f"{median(batch_us):,.0f}",
        f"{_payload_share(mine, batch_us):.0%}",
        f"{_share(mine, 'client_cpu_s'):.0%}",
        f"{_share(mine, 'target_cpu_s'):.0%}",
        f"{sum(run.failures for run in mine):,}",
    ]


def _payload_share(mine: Sequence[Observed], batch_us: Sequence[float]) -> float:
    """Of the CPU time of the worker, or of k6, the part that making that many batches takes; the median of the rounds.

    What else uses the machine can make it too large, even above 1: the batches are made at another moment.
    """
    return median(
        run.requests * made_us / 1e6 / (run.workers_cpu_s or run.client_cpu_s) if run.client_cpu_s else 0.0
        for run, made_us in zip(mine, batch_us, strict=True)
    )


# The score.


def _score(cpus: Cpus, options: argparse.Namespace) -> tuple[dict[str, Any], list[Expectation]]:
    """Each client with one address, and with all."""
    runs: Runs = {}
    target = ("score", ScoreOptions(api_key=_KEY, rate_limit_per_minute=0, scorers=_SCORER))
    with tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        files = {count: _write_addresses(Path(folder), count) for count in (_FEW_ADDRESSES, options.addresses)}
        file_bytes = files[options.addresses].stat().st_size
        for _ in range(options.rounds):
            for count, file in files.items():
                for generator in _score_generators(file, options.score_vus):
                    run = observe(generator, target, cpus, window_s=options.duration)
                    runs.setdefault(_score_key(generator.name, count), []).append(run)
    names = [key.partition(":")[0] for key in runs if key.endswith(f":{_FEW_ADDRESSES}")]
    added = {name: _added_mb(runs, name, options.addresses) for name in names}
    print(
        f"\nscore: {options.addresses:,} addresses in a file of {file_bytes / 1e6:,.0f} MB, {options.score_vus} users"
    )
    heads = ("", "memory MB", "with 1 address", "addresses MB", "bytes each", "first request s", "requests/s", "failed")
    print_table(heads, (_score_row(runs, name, added[name], options.addresses) for name in names))
    _print_problems(runs)
    one, four = (added.get(_workers(count)) for count in (1, 4))
    what = "score: memory for addresses, 4 workers over 1"
    ratio = four / one if one and four and min(one, four) > 0 else None
    return {"file_bytes": file_bytes, "added_mb": added, "runs": _plain(runs)}, [
        Expectation(what, ratio, 1.25, at_most=True)
    ]


def _score_generators(file: Path, vus: int) -> Iterator[Generator]:
    def load(seconds: float) -> list[str]:
        return ["--vus", str(vus), "--duration", f"{seconds:g}s"]

    environment = {"API_KEY": _KEY, "SCORER_ID": _SCORER, "ADDRESSES_FILE": str(file)}
    words = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
    for workers in (1, 4):
        name, script = _workers(workers), str(SCENARIOS / "score.py")
        yield fastload_run(name, "run", script, "--base-url", "{url}", *words, load=load, workers=workers)
    if has_k6():
        yield k6("k6", SCRIPTS / "score.js", load, environment)


def _workers(count: int) -> str:
    return f"fastload, {count} worker{'s' * (count > 1)}"


def _write_addresses(folder: Path, count: int) -> Path:
    """A JSON array of so many addresses, no two the same."""
    file = folder / f"addresses-{count}.json"
    file.write_text(json.dumps([f"0x{os.urandom(20).hex()}" for _ in range(count)]))
    return file


def _score_key(name: str, addresses: int) -> str:
    return f"{name}:{addresses}"


def _added_mb(runs: Runs, name: str, addresses: int) -> float | None:
    """Memory above that of the run with one address in the same round; the median of the rounds."""
    few, many = (runs[_score_key(name, count)] for count in (_FEW_ADDRESSES, addresses))
    if any(run.problem for run in (*few, *many)):
        return None
    return median((all_of.memory_bytes - one.memory_bytes) / 1e6 for one, all_of in zip(few, many, strict=True))


def _score_row(runs: Runs, name: str, added_mb: float | None, addresses: int) -> list[str]:
    few, many = (runs[_score_key(name, count)] for count in (_FEW_ADDRESSES, addresses))
    return [
        name,
        f"{_median(many, 'memory_bytes') / 1e6:,.1f}",
        f"{_median(few, 'memory_bytes') / 1e6:,.1f}",
        "-" if added_mb is None else f"{added_mb:,.1f}",
        "-" if added_mb is None else f"{added_mb * 1e6 / addresses:,.0f}",
        f"{_median(many, 'start_s'):.2f}",
        f"{_median(many, 'requests_per_s'):,.0f}",
        f"{sum(run.failures for run in (*few, *many)):,}",
    ]


# All of them.


def _median(mine: Iterable[Observed], what: str) -> float:
    return float(median(getattr(run, what) for run in mine))


def _share(mine: Iterable[Observed], what: str) -> float:
    """CPU seconds as a share of the window."""
    return median(getattr(run, what) / run.seconds if run.seconds else 0.0 for run in mine)


def _us_per_request(mine: Iterable[Observed]) -> float:
    return median(run.client_cpu_s / run.requests * 1e6 if run.requests else 0.0 for run in mine)


def _metric(mine: Iterable[Observed], name: str, value: str) -> str:
    """A value of a metric in ms, or "-" where it was not reported."""
    told = [run.metrics[name][value] for run in mine if name in run.metrics]
    return f"{median(told):.2f}" if told else "-"


def _print_problems(runs: Runs, before: str = "") -> None:
    for name, mine in runs.items():
        for problem in sorted({run.problem for run in mine} - {""}):
            print(f"NOT COMPARABLE: {before}{name}: {problem}")
        if failures := sum(run.failures for run in mine):
            print(f"NOT COMPARABLE: {before}{name}: {failures:,} failed requests")


def _plain(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """For JSON."""
    return {name: [asdict(run) for run in mine] for name, mine in runs.items()}


if __name__ == "__main__":
    main()
