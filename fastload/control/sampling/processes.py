"""Process sampler: finds the processes to watch, and measures their resource use in each interval."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastload.control.sampling import procfs
from fastload.control.sampling.listeners import find_listener
from fastload.control.sampling.threads import ThreadReader
from fastload.control.sampling.usage_ledger import ProcessKey, UsageLedger, UsageReading
from fastload.model.errors import PlanError, nearest
from fastload.model.resources import ProcessSample
from fastload.model.units import parse_whole

_INTERPRETER = re.compile(r"(python|pypy|node|bun|ruby|perl|php|java|bash|dash|zsh|sh)[\d.]*")
_OPTIONS_WITH_VALUE = frozenset({"-W", "-X", "-r", "--require", "-cp", "-classpath", "--class-path"})
_INLINE_CODE = frozenset({"-c", "-e", "--eval", "-lc", "-ec", "-xc"})
# No system has more: 2**22 is Linux's own limit.
_MOST_PID = 2**31 - 1
_MAX_PORT = 65_535
# The kernel gives the start time of a process in steps of 10 ms.
_START_SLACK_TICKS = 2


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reading of one process. *children* are those that were looked up, see `ProcessSampler`.

    ``disk_bytes`` are those read and written, None if this user may not see them.
    """

    stat: procfs.ProcessStat
    fds: int
    fd_limit: int
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
        self._threads = ThreadReader()
        self._last: dict[ProcessKey, _Reading] = {}
        self._adopted: set[ProcessKey] = set()
        # All PIDs of the machine: a new child is among those that were not there before.
        self._all_pids: set[int] = set()
        self._names: dict[ProcessKey, str] = {}
        self._started_ns: int | None = None
        self._last_ns = 0
        self._last_ticks = 0

    def prime(self) -> None:
        """Take the reading that is the baseline of the first sample."""
        self._started_ns = self._last_ns = time.monotonic_ns()
        self._last_ticks = procfs.boot_ticks_now()
        self._all_pids = self._list_pids()
        stats = {pid: procfs.read_process(pid) for pid in self._pids}
        given = {(stat.start_ticks, pid) for pid, stat in stats.items() if stat}
        self._last = self._read_tree(set(), given, {})
        for key in self._last:
            self._threads.begin(key)
        self._count_cpu_ns(self._last, born_since_ticks=self._last_ticks)
        self._count_disk_bytes(self._last, born_since_ticks=self._last_ticks)

    @property
    def has_lost_one(self) -> bool:
        """Whether one of the processes that were given, or were adopted last, no longer runs."""
        return not set(self.pids).issuperset(self._pids)

    @property
    def pids(self) -> tuple[int, ...]:
        """PIDs of the processes that ran when the last sample was taken."""
        return tuple(pid for (_, pid), reading in self._last.items() if reading.stat.running)

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
        readings = self._read_tree(set(self._last), self._adopted, self._new_pids())
        self._adopted = set()
        cpu_ns = self._count_cpu_ns(readings, born_since_ticks=born_since_ticks)
        disk = self._count_disk_bytes(readings, born_since_ticks=born_since_ticks)
        used_ns = {key: self._used_ns(key, reading, born_since_ticks) for key, reading in readings.items()}
        active = [key for key, used in used_ns.items() if used and readings[key].stat.running]
        threads = self._threads.read(active, readings, self._last_ns)
        self._last, self._last_ns, self._last_ticks = readings, now_ns, now_ticks
        running = {key: reading for key, reading in readings.items() if reading.stat.running}
        busiest = max(active, key=used_ns.__getitem__, default=None)
        fullest = max(running.values(), key=lambda one: one.fds / one.fd_limit if one.fd_limit else 0.0, default=None)
        return ProcessSample(
            t_s=(now_ns - self._started_ns) / 1e9,
            label=self.label,
            cpu_percent=100.0 * cpu_ns / elapsed_ns,
            rss_bytes=sum(reading.stat.rss_bytes for reading in running.values()),
            threads=sum(reading.stat.threads for reading in running.values()),
            fds=sum(reading.fds for reading in running.values()),
            processes=len(running),
            context_switches_per_s=threads.switches * 1e9 / elapsed_ns,
            run_delay_ratio=threads.waited_ns / elapsed_ns,
            alive=bool(running),
            disk_read_bytes_per_s=disk[0] * 1e9 / elapsed_ns if disk else None,
            disk_written_bytes_per_s=disk[1] * 1e9 / elapsed_ns if disk else None,
            busiest_process=self._name(busiest) if busiest else "",
            busiest_process_percent=100.0 * used_ns[busiest] / elapsed_ns if busiest else 0.0,
            busiest_thread=self._thread_name(*threads.busiest) if threads.busiest else "",
            busiest_thread_percent=threads.percent,
            full_threads=threads.full,
            fds_of_fullest=fullest.fds if fullest else 0,
            fd_limit=fullest.fd_limit if fullest else 0,
            blocked_threads=threads.blocked,
        )

    def _used_ns(self, key: ProcessKey, reading: _Reading, born_since_ticks: int) -> int:
        """Return the CPU time of the process itself since the last reading; one that joins begins with this one."""
        before = self._last.get(key)
        if before is None and key[0] < born_since_ticks:
            self._threads.begin(key)
            return 0
        return max(0, reading.stat.cpu_ns - (before.stat.cpu_ns if before else 0))

    def _name(self, key: ProcessKey) -> str:
        if key not in self._names:
            self._names[key] = f"{process_name(key[1])} (PID {key[1]})".lstrip()
        return self._names[key]

    def _thread_name(self, key: ProcessKey, thread: str) -> str:
        process = self._name(key)
        return process if thread == str(key[1]) else f"{procfs.thread_name(key[1], thread)} of {process}"

    def _read_tree(
        self, known: set[ProcessKey], joining: set[ProcessKey], new: Mapping[int, list[int]]
    ) -> dict[ProcessKey, _Reading]:
        """Return readings of the *known* processes that still exist, of those that are *joining* with all that they
        have forked, and of descendants that are *new*, by their parent."""
        readings: dict[ProcessKey, _Reading] = {}
        # Oldest first: the ledger must get every parent before its children. New processes come last: they are younger.
        waiting: list[tuple[int, int | None, bool]] = [
            (pid, start_ticks, (start_ticks, pid) in joining) for start_ticks, pid in sorted(known | joining)
        ]
        seen = {pid for pid, _, _ in waiting}
        for pid, start_ticks, joins in waiting:
            reading = self._read(pid, with_children=joins)
            if reading is None or start_ticks not in (None, reading.stat.start_ticks):
                continue
            readings[reading.stat.start_ticks, pid] = reading
            children = [child for child in (*reading.children, *new.get(pid, ())) if child not in seen]
            seen.update(children)
            waiting += [(child, None, joins) for child in children]
        return readings

    def _list_pids(self) -> set[int]:
        return set(procfs.list_pids()) if self._with_children else set()

    def _new_pids(self) -> dict[int, list[int]]:
        """Return the processes that are new on this machine, by their parent.

        One look at all PIDs is cheaper than one at the children of each thread.
        """
        pids = self._list_pids()
        new, self._all_pids = pids - self._all_pids, pids
        by_parent: dict[int, list[int]] = {}
        for pid in sorted(new):
            if stat := procfs.read_process(pid):
                by_parent.setdefault(stat.parent_pid, []).append(pid)
        return by_parent

    def _read(self, pid: int, *, with_children: bool) -> _Reading | None:
        stat = procfs.read_process(pid)
        if stat is None:
            return None
        if not stat.running:
            # It uses nothing more, and the kernel may not show what it has used.
            before = self._last.get((stat.start_ticks, pid))
            return _Reading(stat, fds=0, fd_limit=0, children=[], disk_bytes=before.disk_bytes if before else None)
        threads = procfs.thread_ids(pid) if with_children and self._with_children else []
        children = [child for thread in threads for child in procfs.thread_children(pid, thread)]
        return _Reading(stat, procfs.count_fds(pid), procfs.fd_limit(pid), children, procfs.disk_bytes(pid))

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


def process_name(pid: int) -> str:
    """Return the program's name; for an interpreter, the module or script that it runs; empty if it is gone."""
    arguments = procfs.command_line(pid)
    if not arguments:
        return ""
    executable = _executable_name(arguments)
    program = _interpreted_program(arguments[1:]) if _INTERPRETER.fullmatch(executable) else ""
    # A shipped target has its own name: the last argument.
    return arguments[-1] if program == "fastload.targets" else program or executable


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
