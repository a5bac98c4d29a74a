"""Readers of what a machine waits for: pressure (PSI), disks, swapping, and the run queue, as totals since boot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastload.control.sampling.procfs import read_file

_NO_DISKS = ("loop", "ram", "zram")
_RESOURCES = ("cpu", "memory", "io")


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """One reading. *pressure_us* is how long some task waited for a resource, by its name. *disks* has, by name, how
    long in ms a disk had a request, and that time weighted with the number of requests. *swapped_pages* counts in and
    out, *run_queue* the threads that are ready to run."""

    pressure_us: Mapping[str, int] = field(default_factory=dict)
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    swapped_pages: int = 0
    run_queue: int = 0


def read_machine_load() -> MachineLoad:
    """Return the load of the machine; what the kernel does not tell is 0 or left out."""
    return MachineLoad(
        {name: parse_pressure(read_file(f"/proc/pressure/{name}")) for name in _RESOURCES},
        parse_disks(read_file("/proc/diskstats"), _whole_disks()),
        parse_swapped(read_file("/proc/vmstat")),
        parse_run_queue(read_file("/proc/loadavg")),
    )


def parse_pressure(text: bytes) -> int:
    """Return the total in us of the line ``some`` of a file under /proc/pressure; 0 without one."""
    for line in text.splitlines():
        kind, _, rest = line.partition(b" ")
        total = rest.rpartition(b"total=")[2]
        if kind == b"some" and total.isdigit():
            return int(total)
    return 0


def parse_disks(text: bytes, disks: set[str]) -> dict[str, tuple[int, int]]:
    """Return the times of /proc/diskstats of those *disks*, which leaves out partitions."""
    found: dict[str, tuple[int, int]] = {}
    for line in text.splitlines():
        values = line.split()
        if len(values) >= 14 and (name := values[2].decode(errors="replace")) in disks:
            found[name] = (int(values[12]), int(values[13]))
    return found


def parse_swapped(text: bytes) -> int:
    """Return the pages swapped in and out of /proc/vmstat."""
    counters = dict(line.split(maxsplit=1) for line in text.splitlines() if line.startswith(b"pswp"))
    return int(counters.get(b"pswpin", 0)) + int(counters.get(b"pswpout", 0))


def parse_run_queue(text: bytes) -> int:
    """Return how many threads are ready to run, of /proc/loadavg, without the one that reads it."""
    values = text.split()
    ready = values[3].partition(b"/")[0] if len(values) > 3 else b""
    return max(0, int(ready) - 1) if ready.isdigit() else 0


def _whole_disks() -> set[str]:
    try:
        return {name for name in os.listdir("/sys/block") if not name.startswith(_NO_DISKS)}  # noqa: PTH208
    except OSError:
        return set()
