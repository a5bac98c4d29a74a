"""Strays: processes that a script started in a worker or in the hook process, and that would outlive the run."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterator

from fastload.control.sampling import procfs

# Many end by themselves when their parent has, as those that read from a pipe of its.
_OWN_END_S = 0.5
_TERMINATE_S = 2.0
_POLL_S = 0.02
_LONGEST_SHOWN = 80

ProcessId = tuple[int, int]
"""PID and start time: the kernel uses a PID again."""


class Strays:
    """The descendants of processes of the run, and how to end those that are left.

    Workers and the hook process adopt orphans, so a process stays their descendant whatever it does, until they end.
    """

    def __init__(self) -> None:
        self._found: dict[ProcessId, str] = {}

    def note(self, pid: int, who: str) -> None:
        """Note the present descendants of process *pid*. *who* is its name in a sentence."""
        own = procfs.command_line(pid)
        for child, start_ticks in _descendants(pid):
            command = procfs.command_line(child)
            text = "a fork of itself" if command == own else _shown(command)
            self._found.setdefault((child, start_ticks), f"{who} left a process behind, which was ended: {text}")

    def end(self) -> list[str]:
        """End those that are left, and return a note on each. Call it after the end of the processes of the run."""
        left = self._await_end(list(self._found), _OWN_END_S)
        notes = [f"{self._found[one]} (PID {one[0]})" for one in left]
        _send(left, signal.SIGTERM)
        _send(self._await_end(left, _TERMINATE_S), signal.SIGKILL)
        self._found.clear()
        return notes

    def _await_end(self, processes: list[ProcessId], timeout_s: float) -> list[ProcessId]:
        """Wait up to *timeout_s* for the end of *processes*, and return those that are left."""
        deadline_s = time.monotonic() + timeout_s
        while (left := [one for one in processes if _is_alive(one)]) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return left


def _descendants(pid: int) -> Iterator[ProcessId]:
    for thread_id in procfs.thread_ids(pid):
        for child in procfs.thread_children(pid, thread_id):
            stat = procfs.read_process(child)
            if stat is not None and stat.running:
                yield child, stat.start_ticks
                yield from _descendants(child)


def _is_alive(process: ProcessId) -> bool:
    stat = procfs.read_process(process[0])
    return stat is not None and stat.running and stat.start_ticks == process[1]


def _send(processes: list[ProcessId], number: signal.Signals) -> None:
    for process in processes:
        if _is_alive(process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process[0], number)


def _shown(command: list[str]) -> str:
    text = " ".join(shlex.join(command).split())
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
