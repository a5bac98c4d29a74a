"""What the samplers cost the parent: CPU time of one sample of a target with many processes and threads.

The target's threads sleep, and some of each process wake up ten times a second: then all of them have to be looked at.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.reporting import (
    Expectation,
    machine,
    parser,
    print_expectations,
    print_machine,
    print_table,
    write_json,
)
from fastload.control.sampling.samplers import Samplers

_TARGET = """
import sys, threading, time

def nap():
    while True:
        time.sleep(0.1)

threads, waking = map(int, sys.argv[1:])
for number in range(threads - 1):
    wait = nap if number < waking else threading.Event().wait
    threading.Thread(target=wait, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""
_SHARE_AT_MOST = 0.03


def main() -> None:
    """Measure, print, write."""
    options = _options()
    described = machine()
    print_machine(described)
    costs = {waking: _measure(options, waking) for waking in (0, options.threads // 10, options.threads)}
    print(f"\n{options.processes} processes with {options.threads} threads each, sampled once a second (medians)")
    rows = [
        (
            f"{waking} of them wake up",
            f"{median(taken) * 1000:.1f} ms",
            f"{median(taken):.2%}",
            f"{max(taken) * 1000:.1f} ms",
        )
        for waking, taken in costs.items()
    ]
    print_table(("threads of each process", "CPU of a sample", "of a core", "worst"), rows)
    print_expectations(
        [Expectation("share of a core, all awake", median(costs[options.threads]), _SHARE_AT_MOST, True)]
    )
    write_json(options.json, {"machine": described, "cpu_s": {str(waking): taken for waking, taken in costs.items()}})


def _options() -> argparse.Namespace:
    made = parser(str(__doc__).partition("\n")[0], duration_s=5.0, rounds=1)
    made.add_argument("--processes", type=int, default=20, help="processes of the target [%(default)s]")
    made.add_argument("--threads", type=int, default=200, help="threads of each [%(default)s]")
    return made.parse_args()


def _measure(options: argparse.Namespace, waking: int) -> list[float]:
    """The CPU seconds of each sample; the first one is left out."""
    taken: list[float] = []
    with _target(options.processes, options.threads, waking) as pids:
        samplers = Samplers({}, pids, "target", port=1)
        samplers.prime()
        for _ in range(options.rounds * round(options.duration) + 1):
            time.sleep(1)
            began_s = time.thread_time()
            samplers.sample({})
            taken.append(time.thread_time() - began_s)
    return taken[1:]


@contextmanager
def _target(processes: int, threads: int, waking: int) -> Iterator[tuple[int, ...]]:
    command = [sys.executable, "-c", _TARGET, str(threads), str(waking)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in started:
            assert process.stdout
            process.stdout.readline()
        yield tuple(process.pid for process in started)
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
