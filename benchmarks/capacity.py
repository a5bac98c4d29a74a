"""How near to the truth a search for the capacity comes, how far several in a row differ, and how long they take.

The truth is known of a target with so many slots of so many milliseconds each (``fastload target plain --limit
slots=8:20ms`` answers 400 requests a second and no more). The sequencer has no known capacity: there the searches are
held against each other. Target and search have a CPU each.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.clients import fastload, start
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
from fastload.targets import PlainOptions, SequencerOptions, running

SLOTS = {"slots=8:20ms": 400.0, "slots=2:5ms": 400.0, "slots=1:10ms": 100.0, "slots=4:exp(20ms)": 200.0}
"""Limit -> the requests per second that it allows."""
PLAIN_SLO = "http_req_response_time: p(95)<250"
SEQUENCER_SLO = "http_req_response_time: p(95)<50"
LONGEST_S = 120.0
MOST_APART, MOST_OFF = 0.10, 0.05


@dataclass(frozen=True, slots=True)
class Search:
    """One search: its state, what it found (loads per second), how many steps it made, and how long it took."""

    state: str
    capacity: float | None
    high: float | None
    steps: int
    seconds: float


def main() -> None:
    """Search, print, write."""
    options = _options()
    described = machine()
    print_machine(described)
    server_cpu, client_cpu = two_cpus()
    found: dict[str, list[Search]] = {}
    for name, limits, source in (
        *((limit, (limit,), [*("--slo", PLAIN_SLO)]) for limit in options.limits),
        ("sequencer", (), ["--ingest", "--slo", SEQUENCER_SLO]),
    ):
        found[name] = [_search(name, limits, source, server_cpu, client_cpu) for _ in range(options.rounds)]
        print_table(("", "state", "capacity", "too much", "steps", "seconds"), _rows(name, found[name]))
    print_expectations(_expectations(found))
    searches = {name: [asdict(one) for one in mine] for name, mine in found.items()}
    write_json(options.json, {"machine": described, "searches": searches})


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", duration_s=LONGEST_S, rounds=5)
    made.add_argument("--limits", nargs="*", default=list(SLOTS), choices=SLOTS, help="of the target, one by one")
    return made.parse_args()


def _search(name: str, limits: tuple[str, ...], source: list[str], server_cpu: int, client_cpu: int) -> Search:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {server_cpu})
    try:
        made = SequencerOptions(rate_limit_per_minute=0) if name == "sequencer" else PlainOptions(limits=limits)
        with running("sequencer" if name == "sequencer" else "plain", made) as target:
            os.sched_setaffinity(0, allowed)
            return _measure(["bench", target.base_url, "--find-capacity", *source], client_cpu)
    finally:
        os.sched_setaffinity(0, allowed)


def _measure(command: list[str], cpu: int) -> Search:
    with tempfile.TemporaryDirectory(prefix="fastload-benchmark-") as folder:
        stdout = Path(folder) / "summary.json"
        begin_s = time.monotonic()
        with start(fastload(*command), cpu, stdout, {}) as process:
            process.wait(600)
        result = json.loads(stdout.read_text())["capacity"]
        took_s = time.monotonic() - begin_s
    return Search(result["state"], result["capacity"], result["high"], len(result["steps"]), took_s)


def _rows(name: str, searches: Sequence[Search]) -> list[list[str]]:
    return [
        [name, one.state, _per_s(one.capacity), _per_s(one.high), str(one.steps), f"{one.seconds:.0f}"]
        for one in searches
    ]


def _per_s(load: float | None) -> str:
    return "-" if load is None else f"{load:,.0f}/s"


def _expectations(found: dict[str, list[Search]]) -> list[Expectation]:
    expected = []
    for name, mine in found.items():
        loads = [one.capacity for one in mine if one.state == "found" and one.capacity is not None]
        longest_s = max(one.seconds for one in mine)
        expected.append(Expectation(f"{name}: answers of {len(mine)}", len(loads), len(mine)))
        expected.append(Expectation(f"{name}: seconds of the longest search", longest_s, LONGEST_S, at_most=True))
        if not loads:
            continue
        if name in SLOTS:
            off = max(abs(load / SLOTS[name] - 1) for load in loads)
            expected.append(Expectation(f"{name}: share off the truth", off, MOST_OFF, at_most=True))
        apart = (max(loads) - min(loads)) / median(loads)
        expected.append(Expectation(f"{name}: share apart", apart, MOST_APART, at_most=True))
    return expected


if __name__ == "__main__":
    main()
