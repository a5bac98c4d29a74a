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
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """Stop signals since the last `take`; *fd* is readable when there is one."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def take(self) -> int:
        """How many came."""
        try:
            return len(os.read(self.fd, 64))
        except BlockingIOError:
            return 0


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Catch the stop signals while the run lasts; outside the main thread, which alone can, they stay as they are."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)

    def note(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            theirs.send(b"s")

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in _STOP_SIGNALS} if in_main_thread else {}
    try:
        yield StopRequests(ours.fileno())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.close()
        theirs.close()
