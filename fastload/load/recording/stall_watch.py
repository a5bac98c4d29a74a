"""Names the line of a script that blocks the event loop: the one that runs when the loop has stood still for long."""

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
_MOST_LINES = 20
# Where code is not the script's own: here, in the standard library, in installed packages.
_OTHERS = tuple(
    {
        folder + os.sep
        for folder in (
            str(Path(__file__).parents[1]),
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        )
    }
)


class StallWatch:
    """Armed again and again by the loop; when that fails to happen for `STALL_S`, a signal looks at what runs.

    The signal comes in the main thread between two instructions, and also within ``time.sleep``, so its frame is
    that of the code that blocks. A process that had no CPU in that time is not held against the script.
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
        """Take the signal; main thread only."""
        with contextlib.suppress(OSError):
            self._schedstat = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._handler_before = signal.signal(signal.SIGALRM, self._on_alarm)

    def arm(self) -> None:
        """The loop runs: begin to count anew."""
        self._note()
        self._armed_ns, self._waited_ns = monotonic_ns(), self._run_delay_ns()
        signal.setitimer(signal.ITIMER_REAL, STALL_S)

    def stop(self) -> None:
        """No signal comes any more, and its handler is the one from before."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._note()
        # None: the one from before was not set in Python.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self._handler_before is None else self._handler_before)
        if self._schedstat >= 0:
            os.close(self._schedstat)
            self._schedstat = -1

    def _note(self) -> None:
        """The loop runs again: if it stood still, for how long."""
        if self._line:
            stalled_ms = (monotonic_ns() - self._armed_ns) / 1e6
            self.lines_that_blocked[self._line] = max(stalled_ms, self.lines_that_blocked.get(self._line, 0.0))
            self._line = ""

    def _run_delay_ns(self) -> int:
        """How long this process was ready to run and had no CPU so far; 0 where the kernel does not say."""
        return int(os.pread(self._schedstat, 64, 0).split()[1]) if self._schedstat >= 0 else 0

    def _on_alarm(self, _number: int, frame: FrameType | None) -> None:
        starved_ns = self._run_delay_ns() - self._waited_ns
        if starved_ns < (monotonic_ns() - self._armed_ns) / 2:
            line = _line_of(frame)
            if line in self.lines_that_blocked or len(self.lines_that_blocked) < _MOST_LINES:
                self._line = line


def _line_of(frame: FrameType | None) -> str:
    """``visit (shop.py:12): time.sleep(0.2)`` of the innermost frame that is the script's own; "" without one."""
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(("<", *_OTHERS)):
            line = linecache.getline(code.co_filename, frame.f_lineno).strip()
            where = f"{code.co_name} ({Path(code.co_filename).name}:{frame.f_lineno})"
            return f"{where}: {line}" if line else where
        frame = frame.f_back
    return ""
