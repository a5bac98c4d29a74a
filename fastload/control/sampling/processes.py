"""Process sampler: finds the processes to watch, and measures their resource use in each interval."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastload.control.sampling import procfs
from fastload.model.errors import PlanError, nearest
from fastload.model.resources import ProcessSample
from fastload.model.units import parse_whole

ProcessKey = tuple[int, int]
"""``(start_ticks, pid)``: unique while the machine is up, and parents sort before their children."""

_INTERPRETER = re.compile(r"(python|pypy|node|bun|ruby|perl|php|java|bash|dash|zsh|sh)[\d.]*")
_OPTIONS_WITH_VALUE = frozenset({"-W", "-X", "-r", "--require", "-cp", "-classpath", "--class-path"})
_INLINE_CODE = frozenset({"-c", "-e", "--eval", "-lc", "-ec", "-xc"})
# These listen for services that do not run yet. Their other children do not belong to the target.
_SOCKET_ACTIVATORS = frozenset({"systemd", "init", "launchd"})
# No system has more: 2**22 is Linux's own limit.
_MOST_PID = 2**31 - 1
_MAX_PORT = 65_535
# The kernel gives the start time of a process in steps of 10 ms.
_START_SLACK_TICKS = 2


@dataclass(frozen=True, slots=True)
class UsageReading:
    """What one process has used since its start, like ns of CPU time or bytes of a disk.

    ``reaped`` is what the descendants used that it waited for. The kernel keeps bytes of disks in one number with those
    of the process itself: all of that is ``reaped``.
    """

    parent_pid: int
    own: int
    reaped: int


class UsageLedger:
    """Ledger of what a changing process tree uses. It also counts processes that end between two readings.

    When a parent waits for an ended child, the kernel adds the child's total to the parent's ``reaped``. The part
    that was counted while the child lived is then a debt of the parent, and is subtracted from ``reaped``. The total
    may arrive there one interval late, because a tree cannot be read at one instant. If it is not there by then, the
    parent never waited (SIGCHLD ignored), and the debt is dropped. A parent must not be read after its children.
    """

    def __init__(self) -> None:
        self._last: dict[ProcessKey, UsageReading] = {}
        self._owed: dict[ProcessKey, int] = {}

    def advance(self, now: dict[ProcessKey, UsageReading], *, born_since_ticks: int) -> int:
        """Return what all processes used since the last call.

        A new process counts from its start if it started at *born_since_ticks* or later. Otherwise (an old process
        that joins the tree) it counts from now on.
        """
        vanished = self._vanished(now)
        owed: dict[ProcessKey, int] = {}
        used = 0
        for key, reading in now.items():
            before = self._last.get(key)
            if before is None:
                used += reading.own + reading.reaped if key[0] >= born_since_ticks else 0
                continue
            used += max(0, reading.own - before.own)
            arrived = max(0, reading.reaped - before.reaped)
            owed_late, owed_new = self._owed.get(key, 0), vanished.get(key, 0)
            used += max(0, arrived - owed_late - owed_new)
            still_owed = min(owed_new, max(0, owed_late + owed_new - arrived))
            if still_owed:
                owed[key] = still_owed
        self._last, self._owed = now, owed
        return used

    def _vanished(self, now: dict[ProcessKey, UsageReading]) -> dict[ProcessKey, int]:
        """Return what was already counted of processes that are gone, by the nearest ancestor that exists."""
        keys = {key[1]: key for key in self._last}
        vanished: dict[ProcessKey, int] = {}
        for key, reading in self._last.items():
            heir: ProcessKey | None = key
            while heir is not None and heir not in now:
                heir = keys.get(self._last[heir].parent_pid)
            if key not in now and heir is not None:
                vanished[heir] = vanished.get(heir, 0) + reading.own + reading.reaped
        return vanished


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reading of one process; ``schedule`` is ``{thread: (ns waited for a CPU, times put on a CPU)}``.

    ``disk_bytes`` are those read and written, None if this user may not see them.
    """

    stat: procfs.ProcessStat
    fds: int
    schedule: dict[str, tuple[int, int]]
    children: list[int]
    disk_bytes: tuple[int, int] | None = None


class ProcessSampler:
    """Sampler of several processes as one: call ``prime()`` once, then ``sample()`` at the end of every interval.

    With *children*, all descendants count from their start on, and stay watched when their parent ends.
    A PID means the process that had it when ``prime()`` was called, never a later process with the same PID.
    """

    def __init__(self, pids: Iterable[int], *, children: bool, label: str) -> None:
        self.label = label
        self._pids = tuple(pids)
        self._with_children = children
        self._ledger = UsageLedger()
        self._read_ledger, self._written_ledger = UsageLedger(), UsageLedger()
        self._last: dict[ProcessKey, _Reading] = {}
        self._adopted: set[ProcessKey] = set()
        self._started_ns: int | None = None
        self._last_ns = 0
        self._last_ticks = 0

    def prime(self) -> None:
        """Take the reading that is the baseline of the first sample."""
        self._started_ns = self._last_ns = time.monotonic_ns()
        self._last_ticks = procfs.boot_ticks_now()
        stats = {pid: procfs.read_process(pid) for pid in self._pids}
        self._last = self._read_tree({(stat.start_ticks, pid) for pid, stat in stats.items() if stat})
        self._count_cpu_ns(self._last, born_since_ticks=self._last_ticks)
        self._count_disk_bytes(self._last, born_since_ticks=self._last_ticks)

    @property
    def has_lost_one(self) -> bool:
        """Whether one of the processes that were given, or were adopted last, no longer runs."""
        running = {pid for (_, pid), reading in self._last.items() if reading.stat.running}
        return not running.issuperset(self._pids)

    def adopt(self, pids: Iterable[int]) -> None:
        """Watch *pids* instead, from the next sample on, beside those that still run. What they used before does not
        count, unless they have started since the last sample."""
        self._pids = tuple(pids)
        stats = {pid: procfs.read_process(pid) for pid in self._pids}
        self._adopted = {(stat.start_ticks, pid) for pid, stat in stats.items() if stat}

    def sample(self) -> ProcessSample:
        """Return the resource use since the last call.

        Raises:
            RuntimeError: ``prime()`` was not called.
        """
        if self._started_ns is None:
            raise RuntimeError("ProcessSampler.sample() before prime()")
        now_ns, now_ticks = time.monotonic_ns(), procfs.boot_ticks_now()
        elapsed_ns = max(now_ns - self._last_ns, 1)
        born_since_ticks = self._last_ticks - _START_SLACK_TICKS
        readings = self._read_tree({*self._last, *self._adopted})
        self._adopted.clear()
        cpu_ns = self._count_cpu_ns(readings, born_since_ticks=born_since_ticks)
        disk = self._count_disk_bytes(readings, born_since_ticks=born_since_ticks)
        waited_ns = switches = 0
        for key, reading in readings.items():
            before = self._last.get(key)
            if before is not None or key[0] >= born_since_ticks:
                waited_here, switches_here = _schedule_delta(before.schedule if before else {}, reading.schedule)
                waited_ns += waited_here
                switches += switches_here
        self._last, self._last_ns, self._last_ticks = readings, now_ns, now_ticks
        running = [reading for reading in readings.values() if reading.stat.running]
        return ProcessSample(
            t_s=(now_ns - self._started_ns) / 1e9,
            label=self.label,
            cpu_percent=100.0 * cpu_ns / elapsed_ns,
            rss_bytes=sum(reading.stat.rss_bytes for reading in running),
            threads=sum(reading.stat.threads for reading in running),
            fds=sum(reading.fds for reading in running),
            processes=len(running),
            context_switches_per_s=switches * 1e9 / elapsed_ns,
            run_delay_ratio=waited_ns / elapsed_ns,
            alive=bool(running),
            disk_read_bytes_per_s=disk[0] * 1e9 / elapsed_ns if disk else None,
            disk_written_bytes_per_s=disk[1] * 1e9 / elapsed_ns if disk else None,
        )

    def _read_tree(self, known: set[ProcessKey]) -> dict[ProcessKey, _Reading]:
        """Return readings of the *known* processes that still exist and, with children, of their new descendants."""
        readings: dict[ProcessKey, _Reading] = {}
        # Oldest first: the ledger must get every parent before its children. New processes come last: they are younger.
        waiting: list[tuple[int, int | None]] = [(pid, start_ticks) for start_ticks, pid in sorted(known)]
        seen = {pid for pid, _ in waiting}
        for pid, start_ticks in waiting:
            reading = self._read(pid)
            if reading is None or start_ticks not in (None, reading.stat.start_ticks):
                continue
            readings[reading.stat.start_ticks, pid] = reading
            new = [child for child in reading.children if child not in seen]
            seen.update(new)
            waiting += [(child, None) for child in new]
        return readings

    def _read(self, pid: int) -> _Reading | None:
        stat = procfs.read_process(pid)
        if stat is None:
            return None
        if not stat.running:
            # It uses nothing more, and the kernel may not show what it has used.
            before = self._last.get((stat.start_ticks, pid))
            return _Reading(stat, fds=0, schedule={}, children=[], disk_bytes=before.disk_bytes if before else None)
        threads = procfs.thread_ids(pid)
        return _Reading(
            stat,
            fds=procfs.count_fds(pid),
            schedule={thread: procfs.thread_schedule(pid, thread) for thread in threads},
            children=[child for thread in threads for child in procfs.thread_children(pid, thread)]
            if self._with_children
            else [],
            disk_bytes=procfs.disk_bytes(pid),
        )

    def _count_disk_bytes(
        self, readings: dict[ProcessKey, _Reading], *, born_since_ticks: int
    ) -> tuple[int, int] | None:
        """Return the bytes read and written since the last call; None if that of a running process is not known."""
        known = {key: reading.disk_bytes for key, reading in readings.items() if reading.disk_bytes}
        parents = {key: readings[key].stat.parent_pid for key in known}
        read, written = (
            ledger.advance(
                {key: UsageReading(parents[key], 0, disk_bytes[which]) for key, disk_bytes in known.items()},
                born_since_ticks=born_since_ticks,
            )
            for which, ledger in enumerate((self._read_ledger, self._written_ledger))
        )
        hidden = any(reading.stat.running and not reading.disk_bytes for reading in readings.values())
        return None if hidden else (read, written)

    def _count_cpu_ns(self, readings: dict[ProcessKey, _Reading], *, born_since_ticks: int) -> int:
        return self._ledger.advance(
            {
                key: UsageReading(
                    reading.stat.parent_pid,
                    reading.stat.cpu_ns,
                    reading.stat.reaped_cpu_ns if self._with_children else 0,
                )
                for key, reading in readings.items()
            },
            born_since_ticks=born_since_ticks,
        )


def _schedule_delta(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Return ``(ns waited, times put on a CPU)``. A new thread counts from its start, an ended one does not count."""
    waited_ns = switches = 0
    for thread, (waited_now, switches_now) in after.items():
        waited_before, switches_before = before.get(thread, (0, 0))
        waited_ns += max(0, waited_now - waited_before)
        switches += max(0, switches_now - switches_before)
    return waited_ns, switches


def process_name(pid: int) -> str:
    """Return the program's name; for an interpreter, the module or script that it runs; empty if it is gone."""
    arguments = procfs.command_line(pid)
    if not arguments:
        return ""
    executable = _executable_name(arguments)
    program = _interpreted_program(arguments[1:]) if _INTERPRETER.fullmatch(executable) else ""
    # A shipped target has its own name: the last argument.
    return arguments[-1] if program == "fastload.targets" else program or executable


def find_listener(port: int, host: str = "") -> tuple[int, ...]:
    """Return the PIDs of all processes that hold a socket listening on the TCP port, masters and workers alike.

    *host*, an address or a name to look up, limits the result to sockets that accept connections to it; empty means
    any. The result is empty if nothing listens here, *host* is another machine, the processes belong to another user,
    or they listen in another network namespace (the port of a container is held by its proxy, if by any process). A
    service manager that holds the socket for a service is left out.
    """
    inodes = _listening_inodes(port, host)
    return tuple(pid for pid in procfs.socket_holders(inodes) if not _is_socket_activator(pid))


def _listening_inodes(port: int, host: str) -> set[str]:
    listening = procfs.listening_sockets(port)
    if not host:
        return {inode for _, inode in listening}
    wanted = {address for address in _resolve(host) if _is_local(address)}
    return {inode for bound, inode in listening if any(_accepts(bound, address) for address in wanted)}


def _resolve(host: str) -> set[procfs.IpAddress]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {_plain_address(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found}


def _plain_address(address: procfs.IpAddress) -> procfs.IpAddress:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_local(address: procfs.IpAddress) -> bool:
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        # Only an address of this machine can be bound to; nothing is sent.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _accepts(bound: procfs.IpAddress, address: procfs.IpAddress) -> bool:
    bound = _plain_address(bound)
    if bound.is_unspecified:
        # A socket on :: takes IPv4 too, unless IPV6_V6ONLY is set, which /proc does not show.
        return bound.version == 6 or address.version == 4
    return bound == address or address.is_unspecified


def _is_socket_activator(pid: int) -> bool:
    stat = procfs.read_process(pid)
    return stat is not None and stat.name in _SOCKET_ACTIVATORS


def resolve_watch(text: str) -> tuple[int, ...]:
    """Return the PIDs for ``--watch PID|NAME|PORT``: at least one, in ascending order.

    ``:8080`` is always a port. A bare number is a PID if a process has it, and otherwise a port. Any other text is the
    name of the process, of its executable, or of the script or module that an interpreter runs (``nginx``,
    ``uvicorn``, ``server.py``). This process, its ancestors and its descendants never match by name.

    Raises:
        PlanError: no such process runs here.
    """
    text = text.strip()
    if text.startswith(":"):
        return _watch_port(text, text[1:])
    if text.isdecimal():
        pid = parse_whole(text, _MOST_PID)
        stat = procfs.read_process(pid) if pid is not None else None
        if pid is not None and stat and stat.running and procfs.is_thread_group(pid):
            return (pid,)
        return _watch_port(text, text)
    return _watch_name(text)


def _watch_port(text: str, digits: str) -> tuple[int, ...]:
    port = parse_whole(digits, _MAX_PORT)
    bare = text == digits
    if not port:
        message = f"no process has the PID {text}" if bare else f"watch {text!r}: not a port from 1 to {_MAX_PORT}"
        raise PlanError(message, hint="give the PID, the program's name, or the port it listens on as :8080")
    found = find_listener(port)
    if found:
        return found
    if next(procfs.listening_sockets(port), None):
        raise PlanError(
            f"watch {text!r}: a process that this user may not inspect listens on port {port}",
            hint="give its PID or name, or run as its user or as root",
        )
    nothing = f"no process has the PID {port}, and nothing" if bare else "nothing"
    raise PlanError(
        f"watch {text!r}: {nothing} on this machine listens on port {port}",
        hint="start the target first, or leave the option out when it runs on another machine or in a container",
    )


def _watch_name(text: str) -> tuple[int, ...]:
    stats = {pid: stat for pid in procfs.list_pids() if (stat := procfs.read_process(pid))}
    relatives = _own_family(stats)
    found: list[int] = []
    all_names: set[str] = set()
    for pid, stat in stats.items():
        names = _program_names(pid, stat) if pid not in relatives else set()
        all_names |= names
        if text in names:
            found.append(pid)
    if not found:
        start = "start it first, or give its PID or its port as :8080"
        guess = nearest(text, sorted(all_names))
        raise PlanError(
            f"watch {text!r}: no process of that name runs here", hint=f"{guess} Or {start}" if guess else start
        )
    return tuple(sorted(found))


def _own_family(stats: Mapping[int, procfs.ProcessStat]) -> set[int]:
    """Return the PIDs of this process, its ancestors and its descendants; *stats* are all processes."""
    family: set[int] = set()
    pid = os.getpid()
    while pid in stats and pid not in family:
        family.add(pid)
        pid = stats[pid].parent_pid
    descendants = [os.getpid()]
    for parent in descendants:
        descendants += [child for child, stat in stats.items() if stat.parent_pid == parent]
    return family | set(descendants)


def _program_names(pid: int, stat: procfs.ProcessStat) -> set[str]:
    """Return the names that match the process; empty for kernel threads, zombies, and processes that are gone."""
    arguments = procfs.command_line(pid)
    if not arguments:
        return set()
    executable = _executable_name(arguments)
    names = {stat.name, executable}
    if _INTERPRETER.fullmatch(executable):
        names.add(_interpreted_program(arguments[1:]))
    return names - {""}


def _executable_name(arguments: list[str]) -> str:
    # Servers change their own process title: "nginx: worker process".
    return _basename(arguments[0].partition(": ")[0])


def _interpreted_program(arguments: list[str]) -> str:
    """Return the basename of the script, or the module after ``-m``; empty for code given on the command line."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _INLINE_CODE:
            return ""
        if argument == "-m":
            return next(rest, "")
        if argument in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not argument.startswith("-"):
            return _basename(argument)
    return ""


def _basename(path: str) -> str:
    return path.rpartition("/")[2]
