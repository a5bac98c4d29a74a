"""Process guard: a script that ends its own process says so first, and does not close what is fastload's.

Only this process is guarded, and not what the script forks of it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fastload.load.recording.stall_watch import line_of

_STDERR = 2
_ENDS_NOTHING = (signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP)


def guard_process(say_last: Callable[[str], None], owns: Callable[[int], bool]) -> None:
    """Guard this process from now on.

    *say_last* is called with a sentence before the script ends the process: nothing else of it will run. *owns* says
    whether a descriptor, which is a socket, is fastload's. Those that are open now, and no file, are fastload's too.
    """
    guard = _Guard(say_last, owns)
    for module, name in ((os, "_exit"), (os, "abort"), (os, "kill"), (signal, "raise_signal")):
        setattr(module, name, partial(guard.end, name, getattr(module, name)))
    os.close = partial(guard.close, os.close)
    os.closerange = guard.close_range
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        # A crash in C shows the line as well.
        faulthandler.enable(_STDERR)


class _Guard:
    def __init__(self, say_last: Callable[[str], None], owns: Callable[[int], bool]) -> None:
        self._pid = os.getpid()
        self._say_last = say_last
        self._owns = owns
        modes = {fd: _mode(fd) for fd in _descriptors()}
        self._own = {0, 1, 2} | {fd for fd, mode in modes.items() if mode is not None and not stat.S_ISREG(mode)}

    def end(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call *function*, and say so first if it ends this process."""
        if os.getpid() == self._pid and _is_fatal(name, args) and (line := line_of(sys._getframe(1))):
            with contextlib.suppress(Exception):
                self._say_last(f"the script ended it: {line}")
        return function(*args)

    def close(self, function: Callable[[int], None], fd: int) -> None:
        """Close *fd*, unless it is fastload's and the script does it."""
        if os.getpid() != self._pid or not self._is_own(fd) or not line_of(sys._getframe(1)):
            function(fd)

    def close_range(self, first: int, last: int) -> None:
        for fd in [one for one in _descriptors() if first <= one < last]:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _is_own(self, fd: Any) -> bool:
        return fd in self._own or (self._owns(fd) and stat.S_ISSOCK(_mode(fd) or 0))


def _is_fatal(name: str, args: tuple[Any, ...]) -> bool:
    """Whether a call of *name* with *args* ends this process."""
    if name in ("_exit", "abort"):
        return True
    pid, number = args if name == "kill" else (os.getpid(), *args)
    if pid not in (0, -1, os.getpid(), -os.getpgrp()) or number == 0 or number in _ENDS_NOTHING:
        return False
    return number == signal.SIGKILL or signal.getsignal(number) == signal.SIG_DFL


def _descriptors() -> list[int]:
    return [int(one.name) for one in Path("/proc/self/fd").iterdir()]


def _mode(fd: int) -> int | None:
    try:
        return os.fstat(fd).st_mode
    except (OSError, TypeError, ValueError, OverflowError):
        return None
