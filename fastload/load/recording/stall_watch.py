"""Stall watch: finds the line of a script that blocks the event loop."""

from __future__ import annotations

import contextlib
import linecache
import os
import signal
import sysconfig
from pathlib import Path
from time import monotonic_ns
from types import FrameType
from typing import Any

STALL_S = 0.1
MOST_LINES = 20
# Folders of code that is not the script's: fastload, the standard library, and installed packages.
_OTHERS = tuple(
    {
        folder + os.sep
        for folder in (
            str(Path(__file__).parents[2]),
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        )
    }
)


class StallWatch:
    """Watch that the loop arms again and again. If `arm` is not called for `STALL_S`, SIGALRM finds the running code.

    Python handles the signal in the main thread between two instructions, also within ``time.sleep``, so its frame is
    that of the blocking code. A stall is ignored if the process waited for a CPU during half of it or more.
    ``lines_that_blocked`` has the longest stall of each line of code, in ms.
    """

    def __init__(self) -> None:
        self.lines_that_blocked: dict[str, float] = {}
        self._armed_ns = 0
        self._waited_ns = 0
        self._line = ""
        self._schedstat = -1
        self._handler_before: Any = signal.SIG_DFL

    def start(self) -> None:
        """Install the signal handler; main thread only."""
        with contextlib.suppress(OSError):
            self._schedstat = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._handler_before = signal.signal(signal.SIGALRM, self._on_alarm)

    def arm(self) -> None:
        """Restart the timer; the loop calls this while it runs."""
        self._note()
        self._armed_ns, self._waited_ns = monotonic_ns(), self._run_delay_ns()
        signal.setitimer(signal.ITIMER_REAL, STALL_S)

    def stop(self) -> None:
        """Stop the timer and restore the signal handler from before `start`."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._note()
        # None: the handler from before was not set by Python.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self._handler_before is None else self._handler_before)
        # It finds out whether the script has closed it.
        self._run_delay_ns()
        if self._schedstat >= 0:
            os.close(self._schedstat)
            self._schedstat = -1

    def _note(self) -> None:
        """Record how long the loop was blocked, if the last signal found a blocking line."""
        if self._line:
            stalled_ms = (monotonic_ns() - self._armed_ns) / 1e6
            self.lines_that_blocked[self._line] = max(stalled_ms, self.lines_that_blocked.get(self._line, 0.0))
            self._line = ""

    def _run_delay_ns(self) -> int:
        """Return how long this process has been ready to run without a CPU; 0 if the kernel does not report it."""
        if self._schedstat < 0:
            return 0
        try:
            return int(os.pread(self._schedstat, 64, 0).split()[1])
        except (OSError, IndexError, ValueError):
            # The script has closed it, and the number may be that of another file.
            self._schedstat = -1
            return 0

    def _on_alarm(self, _number: int, frame: FrameType | None) -> None:
        starved_ns = self._run_delay_ns() - self._waited_ns
        if starved_ns < (monotonic_ns() - self._armed_ns) / 2:
            line = line_of(frame)
            if line in self.lines_that_blocked or len(self.lines_that_blocked) < MOST_LINES:
                self._line = line


def line_of(frame: FrameType | None) -> str:
    """Return ``visit (shop.py:12): time.sleep(0.2)`` for the innermost frame of the script; "" without one."""
    while frame is not None:
        code = frame.f_code
        if is_of_script(code.co_filename):
            return line_at(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return ""


def line_at(filename: str, number: int, function: str) -> str:
    """Return ``visit (shop.py:12): time.sleep(0.2)`` for line *number* of a file, in *function*."""
    line = linecache.getline(filename, number).strip()
    where = f"{function} ({Path(filename).name}:{number})"
    return f"{where}: {line}" if line else where


def is_of_script(filename: str) -> bool:
    """Return whether the file is the script's own code: not fastload, the standard library or a package."""
    return not filename.startswith(("<", *_OTHERS))
