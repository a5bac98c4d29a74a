"""Stop signals (Ctrl-C, SIGTERM, SIGHUP) as a file descriptor to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# SIGHUP too: when the terminal closes, the run must end with its results.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


Handler = Callable[[int, FrameType | None], Any] | int | None
"""What `signal.signal` takes: a function, SIG_DFL or SIG_IGN, or None for what no Python code has set."""


class StopSignals:
    """Stop signals since the last `take`. *fd* is readable while there is one.

    ``first``: the first signal of all, or None. ``handlers``: what the program had for each signal before.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.first: signal.Signals | None = None
        self.handlers: dict[signal.Signals, Handler] = {}
        self._before_raising = 0

    @contextlib.contextmanager
    def raising(self, after: int = 1) -> Iterator[None]:
        """Make stop signal number *after* within the block raise `KeyboardInterrupt`, for a block that may never end.

        Outside of such blocks no signal raises, so no exception can separate two steps that belong together.
        """
        self._before_raising = after
        try:
            yield
        finally:
            self._before_raising = 0

    def on_signal(self, number: int) -> None:
        """Handle signal *number*: raise `KeyboardInterrupt` if `raising` says so. Only the handler calls this."""
        self.first = self.first or signal.Signals(number)
        if self._before_raising:
            self._before_raising -= 1
            if not self._before_raising:
                raise KeyboardInterrupt

    def hand_on(self) -> bool:
        """Give the first signal to the handler that the program has for it, which may raise. Call it after the run.

        Return whether the program has none of its own, so that the signal would end it.
        """
        if self.first is None:
            return False
        handler = self.handlers[self.first]
        if handler == signal.SIG_IGN:
            return False
        if not callable(handler) or handler is signal.default_int_handler or _is_asyncios(handler):
            return True
        handler(self.first, None)
        return False

    def take(self) -> int:
        """Return how many stop signals came since the last call."""
        try:
            return len(os.read(self.fd, 64))
        except BlockingIOError:
            return 0


@contextlib.contextmanager
def caught_stop_signals() -> Iterator[StopSignals]:
    """Catch the stop signals within the block. Only the main thread can: in other threads nothing changes.

    A SIGHUP that is ignored stays ignored: under ``nohup`` the run must outlive its terminal.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    stop_signals = StopSignals(ours.fileno())

    def note(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            theirs.send(b"s")
        stop_signals.on_signal(number)

    before = stop_signals.handlers
    before |= {number: signal.signal(number, note) for number in _to_catch()}
    try:
        yield stop_signals
    finally:
        # Restore SIGINT last: after that, Ctrl-C raises again.
        for number, handler in reversed(before.items()):
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        ours.close()
        theirs.close()


@contextlib.contextmanager
def stop_signals_held() -> Iterator[None]:
    """Block the stop signals within the block. The kernel delivers pending ones after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """Ignore the stop signals in this process from now on. Outside the main thread, do nothing."""
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _is_asyncios(handler: Any) -> bool:
    """Whether *handler* is that of `asyncio.run`, which would cancel its main task at its next ``await``."""
    return isinstance(getattr(getattr(handler, "func", None), "__self__", None), asyncio.Runner)


def _to_catch() -> list[signal.Signals]:
    if threading.current_thread() is not threading.main_thread():
        return []
    return [
        number for number in STOP_SIGNALS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
