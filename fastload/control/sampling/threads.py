"""Threads of watched processes: what they used, how long they waited for a CPU, the busiest one, and blocked ones.

A thread costs a reading of 5 us or two, so those that cannot have changed are left out: the threads of a process that
used no CPU. Of very many, those that were idle take turns. The kernel adds up, so nothing is lost: it is told later.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fastload.control.sampling import procfs
from fastload.control.sampling.usage_ledger import ProcessKey
from fastload.model.judging.evidence import SATURATED_CPU_PERCENT

MOST_THREADS = 1000
"""How many threads are read in one sample; above that idle ones take turns."""
MOST_STATES = 100
"""Of how many threads the state is read in one sample."""
_BUSY_PERCENT = 1.0


class ThreadsUse(NamedTuple):
    """What the threads used in one interval; *busiest* is the process and the id of the busiest one, *percent* its CPU,
    100 = one core."""

    waited_ns: int
    switches: int
    busiest: tuple[ProcessKey, str] | None
    percent: float
    full: int
    blocked: int


@dataclass(slots=True)
class _Thread:
    """One thread as it was read last: its totals since its start, its CPU since the reading before, and its state."""

    run_ns: int
    waited_ns: int
    switches: int
    read_ns: int
    percent: float = 0.0
    is_blocked: bool = False


class _Named(NamedTuple):
    key: ProcessKey
    name: str
    thread: _Thread


class ThreadReader:
    """Reader of the threads of several processes."""

    def __init__(self) -> None:
        self._threads: dict[ProcessKey, dict[str, _Thread]] = {}

    def begin(self, key: ProcessKey) -> None:
        """Take the baseline of a process whose threads have run before: that does not count."""
        now_ns = time.monotonic_ns()
        self._threads[key] = {
            thread: _Thread(*procfs.thread_schedule(key[1], thread), now_ns) for thread in procfs.thread_ids(key[1])
        }

    def read(self, active: Iterable[ProcessKey], living: Iterable[ProcessKey], since_ns: int) -> ThreadsUse:
        """Return what the threads used since the last call, at *since_ns*.

        *active* are the processes that used CPU since then, *living* are all; the others are forgotten. A process that
        is new counts from its start.
        """
        kept = set(living)
        self._threads = {key: threads for key, threads in self._threads.items() if key in kept}
        present = [_Named(key, name, thread) for key in active for name, thread in self._present(key).items()]
        waited_ns = switches = 0
        states_left = MOST_STATES
        for key, name, thread in _due(present):
            waited, switched = _read_thread(key, name, thread, since_ns, with_state=states_left > 0)
            waited_ns += waited
            switches += switched
            states_left -= switched > 0
        busiest = max(present, key=lambda one: one.thread.percent, default=None)
        return ThreadsUse(
            waited_ns,
            switches,
            (busiest.key, busiest.name) if busiest else None,
            busiest.thread.percent if busiest else 0.0,
            sum(one.thread.percent >= SATURATED_CPU_PERCENT for one in present),
            sum(thread.is_blocked for threads in self._threads.values() for thread in threads.values()),
        )

    def _present(self, key: ProcessKey) -> dict[str, _Thread]:
        """Return the threads that a process has now; those that ended are forgotten."""
        known = self._threads.get(key, {})
        self._threads[key] = {name: known.get(name) or _Thread(0, 0, 0, 0) for name in procfs.thread_ids(key[1])}
        return self._threads[key]


def _due(present: list[_Named]) -> list[_Named]:
    """Return which of the threads are read now: of very many the busy ones, and those that wait for it the longest."""
    if len(present) <= MOST_THREADS:
        return present
    return sorted(present, key=lambda one: (one.thread.percent < _BUSY_PERCENT, one.thread.read_ns))[:MOST_THREADS]


def _read_thread(key: ProcessKey, name: str, thread: _Thread, since_ns: int, *, with_state: bool) -> tuple[int, int]:
    """Read one thread; return how many ns it waited for a CPU since its last reading, and how often it got one."""
    run_ns, waited_ns, switches = procfs.thread_schedule(key[1], name)
    now_ns = time.monotonic_ns()
    thread.percent = 100.0 * max(0, run_ns - thread.run_ns) / max(1, now_ns - (thread.read_ns or since_ns))
    waited, switched = max(0, waited_ns - thread.waited_ns), max(0, switches - thread.switches)
    if switched and with_state:
        # One that was not put on a CPU is where it was.
        thread.is_blocked = procfs.thread_state(key[1], name) == "D"
    thread.run_ns, thread.waited_ns, thread.switches, thread.read_ns = run_ns, waited_ns, switches, now_ns
    return waited, switched
