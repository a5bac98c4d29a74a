"""Stall watch: why the event loop of a worker is late, and which line of the script makes it late."""

from __future__ import annotations

import contextlib
import linecache
import os
import signal
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns, process_time_ns, thread_time_ns
from types import CodeType, FrameType
from typing import Any

from fastload.model.judging.stalls import PROBE_INTERVAL_US, StallCause, StallCount, StallTable

STALL_S = 0.025
"""Lateness of the loop from which on it is a stall."""
OTHER_THREAD = "another thread of the script, which holds Python's lock"
NOTED_S = 0.005
"""Lateness of the loop from which on a line of the script that caused it is noted."""
_SAME_STEP_S = 0.001
"""How long one step of the script runs at least, if its line made the loop late, and not hundreds of short steps."""
# Folders of code that is not the script's: fastload, the standard library, and installed packages.
_OTHERS = tuple(
    {
        folder + os.sep
        for folder in (
            str(Path(__file__).parents[2]),
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")),
        )
    }
)


class StallWatch:
    """Watch over the event loop: how late it wakes up, why, and which line of the script makes it late.

    The loop calls `arm` before a sleep, and `wake` after it. If the sleep is `NOTED_S` late,
    SIGALRM finds the code that runs. Python handles the signal in the main thread between two instructions,
    also within ``time.sleep``, so its frame is that of the blocking code. A line is to blame if the same call of the
    script still runs a moment later: at full speed some call of the script is found at any moment, and none is long.
    The kernel's accounts of the thread tell whether it ran, waited for a CPU, or waited for something else. After a
    stop, SIGCONT tells of it.

    *outermost* is the function in which the loop runs: its callers are never to blame.
    """

    def __init__(self, outermost: CodeType | None = None) -> None:
        self._outermost = outermost
        self._armed_ns = self._cpu_ns = self._waited_ns = self._all_cpu_ns = 0
        self._interval_us = PROBE_INTERVAL_US
        self._line = ""
        self._call: FrameType | None = None
        self._set_ns = self._set_waited_ns = self._wait_ns = self._alarm_ns = 0
        self._was_continued = False
        self._schedstat = -1
        self._handlers_before: dict[signal.Signals, Any] = {}

    def start(self) -> None:
        """Install the signal handlers; main thread only."""
        with contextlib.suppress(OSError):
            self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        for number, handler in ((signal.SIGALRM, self._on_alarm), (signal.SIGCONT, self._on_continue)):
            self._handlers_before[number] = signal.signal(number, handler)

    def arm(self, interval_us: int = PROBE_INTERVAL_US) -> None:
        """Begin to watch a sleep of the loop for *interval_us*."""
        self._interval_us = interval_us
        self._line, self._call, self._alarm_ns, self._was_continued = "", None, 0, False
        self._armed_ns, self._cpu_ns, self._waited_ns = monotonic_ns(), thread_time_ns(), self._run_delay_ns()
        self._all_cpu_ns = process_time_ns()
        self._set_alarm(interval_us / 1e6 + NOTED_S - _SAME_STEP_S, self._armed_ns, self._waited_ns)

    def wake(self, table: StallTable) -> int:
        """Add the lateness of the sleep to *table*, and return it in us."""
        passed_us = (monotonic_ns() - self._armed_ns) // 1000
        late_us = max(0, passed_us - self._interval_us)
        table.watched_us += passed_us
        if late_us:
            starved_us = min(late_us, (self._run_delay_ns() - self._waited_ns) // 1000)
            busy_us = min(late_us - starved_us, (thread_time_ns() - self._cpu_ns) // 1000)
            waited_us = late_us - starved_us - busy_us
            # They may have to wait for a CPU themselves, while they hold the lock.
            if not self._line and self._others_ran_us() > (starved_us + waited_us) / 4 > 0:
                self._line, busy_us, starved_us, waited_us = OTHER_THREAD, late_us, 0, 0
            parts: dict[StallCause, int] = {"starved": starved_us, "busy": busy_us, self._kind_of_wait(): waited_us}
            for cause, part_us in parts.items():
                table.add_late(cause, part_us, late_us)
            cause = max(parts, key=parts.__getitem__)
            line = self._line if cause in ("blocked", "busy") else ""
            is_stall = late_us >= STALL_S * 1e6
            if is_stall:
                table.stalled_us += late_us
            if is_stall or line:
                table.add_stall(cause, line, StallCount(1, late_us, late_us))
        return late_us

    def stop(self) -> None:
        """Stop the timer and restore the signal handlers from before `start`."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, before in self._handlers_before.items():
            # None: the handler from before was not set by Python.
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._handlers_before.clear()
        # It finds out whether the script has closed it.
        self._run_delay_ns()
        if self._schedstat >= 0:
            os.close(self._schedstat)
            self._schedstat = -1

    def _kind_of_wait(self) -> StallCause:
        """Return the cause for time in which the thread neither ran nor was ready to.

        The alarm interrupts what waits in the kernel. If it came late too, and no line of the script was found then,
        the whole process stood still.
        """
        heard_late_ns = self._alarm_ns - self._armed_ns - self._interval_us * 1e3 - (NOTED_S - _SAME_STEP_S) * 1e9
        frozen = not self._line and self._alarm_ns and heard_late_ns > STALL_S * 1e9
        return "stopped" if self._was_continued or frozen else "blocked"

    def _others_ran_us(self) -> int:
        """Return for how long other threads of this process have run since `arm`."""
        return (process_time_ns() - self._all_cpu_ns - (thread_time_ns() - self._cpu_ns)) // 1000

    def _run_delay_ns(self) -> int:
        """Return how long this thread has been ready to run without a CPU; 0 if the kernel does not report it."""
        if self._schedstat < 0:
            return 0
        try:
            return int(os.pread(self._schedstat, 64, 0).split()[1])
        except (OSError, IndexError, ValueError):
            # The script has closed it, and the number may be that of another file.
            self._schedstat = -1
            return 0

    def _set_alarm(self, wait_s: float, now_ns: int, waited_ns: int) -> None:
        self._set_ns, self._set_waited_ns, self._wait_ns = now_ns, waited_ns, round(wait_s * 1e9)
        signal.setitimer(signal.ITIMER_REAL, wait_s)

    def _on_alarm(self, _number: int, frame: FrameType | None) -> None:
        """Look twice, `_SAME_STEP_S` apart, and again and again until a line is to blame."""
        now_ns, waited_ns = monotonic_ns(), self._run_delay_ns()
        self._alarm_ns = self._alarm_ns or now_ns
        # Without the time in which the thread had no CPU, and nothing went on.
        passed_ns = now_ns - self._set_ns - (waited_ns - self._set_waited_ns)
        *_, call = None, *_script_frames(frame, self._outermost)
        is_same = call is self._call and passed_ns >= _SAME_STEP_S * 0.9e9
        # Python cannot handle the alarm within code in C.
        was_in_c = passed_ns - self._wait_ns > _SAME_STEP_S * 1e9
        if call is not None and (is_same or was_in_c):
            self._line, self._call = line_of(frame, self._outermost), None
            return
        self._call = call if self._call is None else None
        self._set_alarm(NOTED_S if self._call is None else _SAME_STEP_S, now_ns, waited_ns)

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self._was_continued = True


def line_of(frame: FrameType | None, outermost: CodeType | None = None) -> str:
    """Return ``visit (shop.py:12): time.sleep(0.2)`` for the innermost frame of the script; "" without one.

    Frames outside of *outermost* do not count.
    """
    for one in _script_frames(frame, outermost):
        return line_at(one.f_code.co_filename, one.f_lineno, one.f_code.co_name)
    return ""


def _script_frames(frame: FrameType | None, outermost: CodeType | None) -> Iterator[FrameType]:
    while frame is not None and frame.f_code is not outermost:
        if is_of_script(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def line_at(filename: str, number: int, function: str) -> str:
    """Return ``visit (shop.py:12): time.sleep(0.2)`` for line *number* of a file, in *function*."""
    line = linecache.getline(filename, number).strip()
    where = f"{function} ({Path(filename).name}:{number})"
    return f"{where}: {line}" if line else where


def is_of_script(filename: str) -> bool:
    """Return whether the file is the script's own code: not fastload, the standard library or a package."""
    return not filename.startswith(("<", *_OTHERS))
