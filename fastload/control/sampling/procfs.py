"""Readers of files under /proc and /sys/fs/cgroup: they parse the text, other modules interpret it.

The reads are raw system calls because the samplers make hundreds of them each second: 5 us a
file, where open() takes 9 and pathlib 11.
"""

# ruff: noqa: PTH115, PTH116, PTH208

from __future__ import annotations

import contextlib
import ipaddress
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_NS_PER_TICK = 1_000_000_000 // _TICKS_PER_S
_DIGITS = 20
"""More than a number of the kernel has."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TCP_LISTEN = b"0A"


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One reading of /proc/PID/stat.

    ``start_ticks`` (since boot) and the PID together identify a process; the kernel reuses the PID alone.
    ``cpu_ns`` is the CPU time of the process itself, ended threads included. ``reaped_cpu_ns`` is the CPU time of all
    descendants that it waited for, in steps of a clock tick. A zombie has ``running`` false and keeps both times.
    """

    parent_pid: int
    start_ticks: int
    cpu_ns: int
    reaped_cpu_ns: int
    rss_bytes: int
    threads: int
    running: bool
    name: str


def read_file(path: str) -> bytes:
    """Return the whole file, or ``b""`` if it is gone or this user may not read it.

    Raises:
        OSError: any other error, such as EMFILE: a lack of descriptors must not look like a dead process.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = chunk = os.read(fd, 65536)
            while chunk:
                chunk = os.read(fd, 65536)
                data += chunk
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    return data


def is_stopped(pid: int) -> bool:
    """Return whether a signal, or a debugger, holds the process."""
    return read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])


def read_process(pid: int) -> ProcessStat | None:
    """Return the current state of the process, or None if no process has this PID."""
    data = read_file(f"/proc/{pid}/stat")
    if not data:
        return None
    # The program chooses its name, which may contain spaces and parentheses.
    head, _, tail = data.rpartition(b")")
    values = tail.split()
    threads = int(values[17])
    # If the main thread ends before the others, the process looks like a zombie but still works.
    running = values[0] not in (b"Z", b"X") or threads > 1
    return ProcessStat(
        parent_pid=int(values[1]),
        start_ticks=int(values[19]),
        cpu_ns=_cpu_ns(pid, int(values[11]) + int(values[12])),
        reaped_cpu_ns=(int(values[13]) + int(values[14])) * _NS_PER_TICK,
        rss_bytes=int(values[21]) * _PAGE_BYTES,
        threads=threads if running else 0,
        running=running,
        name=head.partition(b"(")[2].decode(errors="replace"),
    )


def _cpu_ns(pid: int, ticks: int) -> int:
    # clock_getcpuclockid(3): nanoseconds where stat has ticks of 10 ms, which is 1 % of a sample of one second.
    with contextlib.suppress(OSError):
        return time.clock_gettime_ns(~pid << 3 | 2)
    return ticks * _NS_PER_TICK


def boot_ticks_now() -> int:
    """Return the current time on the clock of ``start_ticks``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // _NS_PER_TICK


def list_pids() -> list[int]:
    """Return the PIDs of all processes that this user can see."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def thread_ids(pid: int) -> list[str]:
    """Return the ids of the process's threads; empty if the process is gone."""
    return _listdir(f"/proc/{pid}/task")


def thread_schedule(pid: int, thread_id: str) -> tuple[int, int, int]:
    """Return ``(ns on a CPU, ns ready to run but waiting, times put on a CPU)`` since the thread began; zeros if
    unknown."""
    values = _read_once(f"/proc/{pid}/task/{thread_id}/schedstat").split()
    return (int(values[0]), int(values[1]), int(values[2])) if len(values) >= 3 else (0, 0, 0)


def thread_state(pid: int, thread_id: str) -> str:
    """Return the letter of the thread's state, as R, S or D; "" if it is gone."""
    return _read_once(f"/proc/{pid}/task/{thread_id}/stat").rpartition(b")")[2][1:2].decode()


def thread_name(pid: int, thread_id: str) -> str:
    """Return the name of the thread; "" if it is gone."""
    return _read_once(f"/proc/{pid}/task/{thread_id}/comm").decode(errors="replace").strip()


def _read_once(path: str) -> bytes:
    """Return the beginning of a file, with one reading: for small files that are read in great numbers."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 1024)
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def thread_children(pid: int, thread_id: str) -> list[int]:
    """Return the PIDs of the processes that this one thread forked and that still exist, zombies included."""
    return [int(child) for child in read_file(f"/proc/{pid}/task/{thread_id}/children").split()]


def count_fds(pid: int) -> int:
    """Return the number of open file descriptors; 0 if the process is gone or this user may not inspect it."""
    path = f"/proc/{pid}/fd"
    try:
        # Since Linux 6.2 the directory's size is the count; listing 10,000 descriptors took 27 ms.
        return os.stat(path).st_size or len(os.listdir(path))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def fd_limit(pid: int) -> int:
    """Return how many file descriptors the process may open; 0 if this user may not ask, or there is no limit."""
    try:
        soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    except (OSError, ValueError):
        return 0
    return max(0, soft)


def disk_bytes(pid: int) -> tuple[int, int] | None:
    """Return the bytes that the process made a disk read and write, descendants that it waited for included.

    What the page cache has answered does not count as read; what is written counts when it goes to the page cache. None
    if this user may not see it, or the kernel does not count it.
    """
    counted = dict(line.split(b": ") for line in read_file(f"/proc/{pid}/io").splitlines())
    try:
        return int(counted[b"read_bytes"]), int(counted[b"write_bytes"])
    except KeyError:
        return None


def command_line(pid: int) -> list[str]:
    """Return the command line's arguments; empty for kernel threads, zombies, and processes that are gone."""
    text = read_file(f"/proc/{pid}/cmdline").decode(errors="replace").rstrip("\0")
    return text.split("\0") if text else []


def is_thread_group(pid: int) -> bool:
    """Return whether *pid* is a process: /proc also has entries for the ids of threads."""
    return f"\nTgid:\t{pid}\n".encode() in read_file(f"/proc/{pid}/status")


class TcpCounters(NamedTuple):
    """Counts of TCP since boot, in this network namespace; 0 where the kernel does not report them."""

    retransmitted: int
    overflows: int
    drops: int
    sent: int


def tcp_counters() -> TcpCounters:
    """Return the counts: segments sent again, overflows and drops of listening sockets, segments sent."""
    tcp = _named_counters(read_file("/proc/self/net/snmp"), b"Tcp:")
    extended = _named_counters(read_file("/proc/self/net/netstat"), b"TcpExt:")
    return TcpCounters(
        tcp.get(b"RetransSegs", 0),
        extended.get(b"ListenOverflows", 0),
        extended.get(b"ListenDrops", 0),
        tcp.get(b"OutSegs", 0),
    )


def _named_counters(table: bytes, prefix: bytes) -> dict[bytes, int]:
    rows = [line.split() for line in table.splitlines() if line.startswith(prefix)]
    if len(rows) != 2:
        return {}
    return {name: int(value) for name, value in zip(rows[0][1:], rows[1][1:], strict=False)}


def listening_sockets(port: int) -> Iterator[tuple[IpAddress, str]]:
    """Yield ``(bound address, inode)`` of every socket that listens on the TCP port in this network namespace."""
    wanted = b":%04X" % port
    for table in ("tcp", "tcp6"):
        for line in read_file(f"/proc/self/net/{table}").splitlines()[1:]:
            values = line.split(maxsplit=10)
            if values[3] == _TCP_LISTEN and values[1].endswith(wanted):
                yield _parse_address(values[1].partition(b":")[0].decode()), values[9].decode()


def _parse_address(digits: str) -> IpAddress:
    # The kernel prints each 32-bit word of the address as a number in its own byte order.
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return ipaddress.IPv4Address(packed) if len(packed) == 4 else ipaddress.IPv6Address(packed)


def socket_holders(inodes: set[str]) -> list[int]:
    """Return the PIDs of the processes that hold any of the sockets, as far as this user may inspect processes."""
    links = {f"socket:[{inode}]" for inode in inodes}
    return sorted(pid for pid in list_pids() if _holds(pid, links)) if links else []


def _holds(pid: int, links: set[str]) -> bool:
    for fd in _listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if os.readlink(f"/proc/{pid}/fd/{fd}") in links:
                return True
    return False


def _listdir(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


_NS_OF_THROTTLED = {b"throttled_usec": 1000, b"throttled_time": 1}


def cgroup_quota_cpus(proc_root: Path, cgroup_root: Path) -> float | None:
    """Return the CPU quota of the tightest cgroup above this process, in CPUs; None without a limit."""
    quotas = (
        (_read_quota_v2 if is_v2 else _read_quota_v1)(folder) for folder, is_v2 in _cpu_cgroups(proc_root, cgroup_root)
    )
    return min((quota for quota in quotas if quota is not None), default=None)


def cgroup_throttled_ns(proc_root: Path, cgroup_root: Path) -> int:
    """Return for how long the cgroups above this process have been out of their CPU quota, since they were made; of
    several the largest, because each holds up the same processes. 0 without a quota."""
    return max((_read_throttled_ns(folder) for folder, _ in _cpu_cgroups(proc_root, cgroup_root)), default=0)


def cgroup_periods(pids: Iterable[int], proc_root: Path, cgroup_root: Path) -> dict[Path, tuple[int, int]]:
    """Return ``(periods, periods in which the quota was used up)`` since it was made, of each cgroup above these
    processes that has a CPU quota."""
    texts = {read_file(f"{proc_root}/{pid}/cgroup") for pid in pids}
    found: dict[Path, tuple[int, int]] = {}
    for folder in {folder for text in texts for folder, _ in _folders_of(text, cgroup_root)}:
        counts = _counts(read_file(f"{folder}/cpu.stat"))
        if periods := counts.get(b"nr_periods", 0):
            found[folder] = periods, counts.get(b"nr_throttled", 0)
    return found


def _counts(text: bytes) -> dict[bytes, int]:
    """Return the numbers of a file whose lines are names and numbers."""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit() and len(pair[1]) < _DIGITS}


def _cpu_cgroups(proc_root: Path, cgroup_root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield ``(folder, whether it is of version 2)`` for each cgroup above this process that may limit its CPU time."""
    yield from _folders_of(read_file(f"{proc_root}/self/cgroup"), cgroup_root)


def _folders_of(text: bytes, cgroup_root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of the cgroups in the *text* of /proc/PID/cgroup, and of those above them."""
    for line in os.fsdecode(text).split("\n"):
        _, _, rest = line.partition(":")
        controllers, has_path, path = rest.partition(":")
        if not has_path:
            continue
        if not controllers:
            # Version 2, mounted alone or beside version 1.
            mounts = [cgroup_root, cgroup_root / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [cgroup_root / name for name in (controllers, "cpu")]
        else:
            continue
        # In a container, the path may be the one on the host: then no such folder is mounted, and the limit is in the
        # top folder. Or the path contains "..", for folders above the namespace.
        steps = [step for step in path.split("/") if step and step != ".."]
        for folder in (mount.joinpath(*steps[:depth]) for mount in mounts for depth in range(len(steps) + 1)):
            yield folder, not controllers


def _read_throttled_ns(folder: Path) -> int:
    counts = _counts(read_file(f"{folder}/cpu.stat"))
    # Version 2 has microseconds, version 1 nanoseconds.
    return next((counts[name] * ns for name, ns in _NS_OF_THROTTLED.items() if name in counts), 0)


def _read_quota_v2(folder: Path) -> float | None:
    values = read_file(f"{folder}/cpu.max").split()
    return _share(*values) if len(values) == 2 else None


def _read_quota_v1(folder: Path) -> float | None:
    quota_us = read_file(f"{folder}/cpu.cfs_quota_us").strip()
    period_us = read_file(f"{folder}/cpu.cfs_period_us").strip()
    return _share(quota_us, period_us)


def _share(quota: bytes, period: bytes) -> float | None:
    """Return *quota* of *period*; None if one of them is no number, like ``max`` and ``-1``, or zero."""
    if not (quota.isdigit() and period.isdigit() and max(len(quota), len(period)) < _DIGITS):
        return None
    return int(quota) / int(period) or None if int(period) else None
