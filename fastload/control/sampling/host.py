"""Host sampler: properties of the generator's machine, and its resource use in each interval."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from fastload.control.sampling import procfs
from fastload.control.sampling.machine_load import MachineLoad, read_machine_load
from fastload.model.resources import HostSample

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")
_LOOPBACK = "lo"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def usable_cpus(proc_root: Path = _PROC, cgroup_root: Path = _CGROUP) -> int:
    """Return how many CPUs this process may keep busy: its affinity, or the cgroup quota rounded down if that is less.

    At least 1. A quota of 1.5 counts as 1: two busy workers would be throttled in turns.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = procfs.cgroup_quota_cpus(proc_root, cgroup_root)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def describe_host() -> dict[str, str | int]:
    """Return the properties by which reports are compared. Nothing in it identifies the machine."""
    return {
        "cpus": psutil.cpu_count() or 1,
        "usable_cpus": usable_cpus(),
        "cpu_model": _cpu_model(),
        "memory_total_bytes": psutil.virtual_memory().total,
        "kernel_release": platform.release(),
        "python_version": platform.python_version(),
    }


def _cpu_model() -> str:
    for line in procfs.read_file("/proc/cpuinfo").decode(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reading of totals since boot; CPU times are ``(busy, all)``, NIC bytes are ``{name: (sent, received)}``."""

    at_ns: int
    cpus_s: list[tuple[float, float]]
    nics_bytes: dict[str, tuple[int, int]]
    context_switches: int
    tcp: procfs.TcpCounters
    load: MachineLoad


class QuotaSampler:
    """Sampler of the CPU quota of this process's cgroup: call ``prime()`` once, then ``sample()`` each second.

    ``throttled_share``: the share of the time since ``prime()`` for which the cgroup had used up its quota; over
    several CPUs that wait at once it may exceed 1, and it is 0 without a quota.
    """

    def __init__(self, proc_root: Path = _PROC, cgroup_root: Path = _CGROUP) -> None:
        self._roots = proc_root, cgroup_root
        self._first_ns = self._started_ns = 0
        self.throttled_share = 0.0

    def prime(self) -> None:
        """Take the reading that is the baseline."""
        self._first_ns, self._started_ns = procfs.cgroup_throttled_ns(*self._roots), time.monotonic_ns()

    def sample(self) -> None:
        """Update ``throttled_share``."""
        throttled_ns = procfs.cgroup_throttled_ns(*self._roots) - self._first_ns
        self.throttled_share = max(0, throttled_ns) / max(1, time.monotonic_ns() - self._started_ns)


class ThrottleSampler:
    """Sampler of the CPU quotas of other processes: in which share of their periods they were used up."""

    def __init__(self, proc_root: Path = _PROC, cgroup_root: Path = _CGROUP) -> None:
        self._roots = proc_root, cgroup_root
        self._last: dict[Path, tuple[int, int]] = {}

    def sample(self, pids: Iterable[int]) -> float:
        """Return the share of the periods since the last call in which the cgroups of *pids* had used up their quota.

        Of several cgroups it is the largest, and 0 without a quota. One that is new begins with this call.
        """
        now = procfs.cgroup_periods(pids, *self._roots)
        before, self._last = self._last, now
        passed = [
            (periods - before[folder][0], throttled - before[folder][1])
            for folder, (periods, throttled) in now.items()
            if folder in before
        ]
        return max((min(1.0, throttled / periods) for periods, throttled in passed if periods > 0), default=0.0)


class HostSampler:
    """Sampler of the machine: call ``prime()`` once, then ``sample()`` at the end of every interval."""

    def __init__(self) -> None:
        self._started_ns = 0
        self._last: _Reading | None = None

    def prime(self) -> None:
        """Take the reading that is the baseline of the first sample."""
        self._last = _read()
        self._started_ns = self._last.at_ns

    def sample(self) -> HostSample:
        """Return the resource use since the last call.

        Raises:
            RuntimeError: ``prime()`` was not called.
        """
        if self._last is None:
            raise RuntimeError("HostSampler.sample() before prime()")
        before, after = self._last, _read()
        self._last = after
        elapsed_s = max(after.at_ns - before.at_ns, 1) / 1e9
        cpu_deltas = [
            (max(0.0, busy - busy_before), max(0.0, total - total_before))
            for (busy_before, total_before), (busy, total) in zip(before.cpus_s, after.cpus_s, strict=False)
        ]
        sent, received, loopback = _network_deltas(before.nics_bytes, after.nics_bytes)
        tcp = procfs.TcpCounters(*(max(0, now - then) for then, now in zip(before.tcp, after.tcp, strict=True)))
        disk, disk_percent, disk_queue = _busiest_disk(before.load, after.load, elapsed_s)
        pressure = {
            name: _percent(max(0, total - before.load.pressure_us.get(name, total)) / 1e6, elapsed_s)
            for name, total in after.load.pressure_us.items()
        }
        memory = psutil.virtual_memory()
        return HostSample(
            t_s=(after.at_ns - self._started_ns) / 1e9,
            cpu_percent=_percent(sum(busy for busy, _ in cpu_deltas), sum(total for _, total in cpu_deltas)),
            cpus_percent=tuple(_percent(busy, total) for busy, total in cpu_deltas),
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            load_1m=os.getloadavg()[0],
            net_sent_bytes_per_s=sent / elapsed_s,
            net_received_bytes_per_s=received / elapsed_s,
            loopback_bytes_per_s=loopback / elapsed_s,
            tcp_retransmits=tcp.retransmitted,
            listen_overflows=tcp.overflows,
            listen_drops=tcp.drops,
            context_switches_per_s=(after.context_switches - before.context_switches) / elapsed_s,
            tcp_segments_sent=tcp.sent,
            busiest_disk=disk,
            disk_busy_percent=disk_percent,
            disk_queue=disk_queue,
            run_queue=after.load.run_queue,
            cpu_pressure_percent=pressure["cpu"],
            memory_pressure_percent=pressure["memory"],
            io_pressure_percent=pressure["io"],
            swap_bytes_per_s=_PAGE_BYTES * max(0, after.load.swapped_pages - before.load.swapped_pages) / elapsed_s,
        )


def _read() -> _Reading:
    # Not psutil.cpu_percent(): it keeps its last reading in the module, where two samplers would share it.
    cpus_s = []
    for times in psutil.cpu_times(percpu=True):
        # The kernel counts the time of guests in user and nice already.
        total = sum(times) - times.guest - times.guest_nice
        cpus_s.append((total - times.idle - times.iowait, total))
    nics = psutil.net_io_counters(pernic=True, nowrap=False)
    return _Reading(
        at_ns=time.monotonic_ns(),
        cpus_s=cpus_s,
        nics_bytes={name: (counters.bytes_sent, counters.bytes_recv) for name, counters in nics.items()},
        context_switches=psutil.cpu_stats().ctx_switches,
        tcp=procfs.tcp_counters(),
        load=read_machine_load(),
    )


def _busiest_disk(before: MachineLoad, after: MachineLoad, elapsed_s: float) -> tuple[str, float, float]:
    """Return the disk that was busy the longest, for how many per cent of the time, and how many requests it had."""
    busy_ms = {name: busy - before.disks[name][0] for name, (busy, _) in after.disks.items() if name in before.disks}
    name = max(busy_ms, key=busy_ms.__getitem__, default="")
    if not name or busy_ms[name] <= 0:
        return "", 0.0, 0.0
    queued_ms = max(0, after.disks[name][1] - before.disks[name][1])
    return name, _percent(busy_ms[name] / 1000, elapsed_s), queued_ms / 1000 / elapsed_s


def _network_deltas(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> tuple[int, int, int]:
    """Return ``(sent, received, loopback's part of each)``. A new interface counts from the next interval on."""
    sent = received = loopback = 0
    for name in before.keys() & after.keys():
        sent_here = max(0, after[name][0] - before[name][0])
        sent += sent_here
        received += max(0, after[name][1] - before[name][1])
        loopback += sent_here if name == _LOOPBACK else 0
    return sent, received, loopback


def _percent(busy_s: float, total_s: float) -> float:
    return min(100.0, 100.0 * busy_s / total_s) if total_s > 0 else 0.0
