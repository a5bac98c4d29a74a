"""Parent death: child processes die with the parent, leave signals to it, and lose no process of their own."""

from __future__ import annotations

import ctypes
import os
import signal
from types import FrameType

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies, even if its event loop is blocked."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Keep all processes that the script starts below this one, so that the parent finds those that are left.

    Without this, one whose own parent has ended, like a daemon, would be found by nobody.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def leave_signals_to_parent() -> None:
    """Do nothing on SIGINT, SIGTERM and SIGHUP: the terminal sends Ctrl-C to every process, and the parent handles it.

    They have a handler instead of being ignored: programs that the script starts would inherit that they are ignored,
    and could not be ended with ``terminate()``.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _do_nothing)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal that is for the parent."""
