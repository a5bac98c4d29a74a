"""Ctrl-C and its like, as something to wait for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

# A closed terminal is no reason to lose what was measured.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """Stop signals since the last `take`; *fd* is readable when there is one."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._before_raising = 0

    @contextlib.contextmanager
    def raising(self, after: int = 1) -> Iterator[None]:
        """For a block that may take for ever: signal number *after* in it raises `KeyboardInterrupt` there.

        Outside of such blocks no signal raises, so that none can come between two steps that belong together.
        """
        self._before_raising = after
        try:
            yield
        finally:
            self._before_raising = 0

    def hear(self) -> None:
        """A signal came; for its handler."""
        if self._before_raising:
            self._before_raising -= 1
            if not self._before_raising:
                raise KeyboardInterrupt

    def take(self) -> int:
        """How many came."""
        try:
            return len(os.read(self.fd, 64))
        except BlockingIOError:
            return 0


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Catch the stop signals while the run lasts; outside the main thread, which alone can, they stay as they are.

    So does a SIGHUP that is ignored: under ``nohup`` the run is meant to outlive its terminal.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    requests = StopRequests(ours.fileno())

    def note(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            theirs.send(b"s")
        requests.hear()

    before = {number: signal.signal(number, note) for number in _to_catch()}
    try:
        yield requests
    finally:
        # SIGINT at last: from then on it raises again.
        for number, handler in reversed(before.items()):
            signal.signal(number, handler)
        ours.close()
        theirs.close()


@contextlib.contextmanager
def stop_signals_held() -> Iterator[None]:
    """None of them is delivered within the block; what came is delivered behind it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """From now on they mean nothing to this process. Outside the main thread it changes nothing."""
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _to_catch() -> list[signal.Signals]:
    if threading.current_thread() is not threading.main_thread():
        return []
    return [
        number for number in STOP_SIGNALS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
