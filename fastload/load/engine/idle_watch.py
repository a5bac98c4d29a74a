"""Idle timeouts: end transfers that move no bytes for too long.

libcurl's own limit (LOW_SPEED_TIME) has whole seconds and tests a mean speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from fastload.load.engine.curl_handle import Handle
from fastload.model.units import format_number_of

_LOOKS_A_TIMEOUT = 8
# uvloop rounds to milliseconds: a shorter time would be none, and the loop would do nothing but look.
_SHORTEST_S = 0.001


class _Seen(NamedTuple):
    """State of a transfer at its last check: the bytes moved, the time since when this number has not changed, and the
    timer of the next check."""

    timer: asyncio.TimerHandle
    moved_bytes: int
    since_s: float


class IdleWatch:
    """Watch that calls *give_up* for transfers that send and receive nothing for their idle timeout.

    It checks a transfer eight times per idle timeout. The time before a connection exists does not count, because the
    connect timeout limits it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, give_up: Callable[[Handle, str], None]) -> None:
        self._loop = loop
        self._give_up = give_up
        self._seen: dict[Handle, _Seen] = {}

    def begin(self, handle: Handle) -> None:
        """Start to watch *handle*, which was just submitted; an idle timeout of 0 means none."""
        before = self._seen.pop(handle, None)
        if before is not None:
            before.timer.cancel()
        if handle.idle_timeout_s:
            self._wait(handle, -1, self._loop.time())

    def close(self) -> None:
        for seen in self._seen.values():
            seen.timer.cancel()
        self._seen.clear()

    def _wait(self, handle: Handle, moved_bytes: int, since_s: float) -> None:
        timer = self._loop.call_later(max(_SHORTEST_S, handle.idle_timeout_s / _LOOKS_A_TIMEOUT), self._look, handle)
        self._seen[handle] = _Seen(timer, moved_bytes, since_s)

    def _look(self, handle: Handle) -> None:
        seen = self._seen.pop(handle)
        if not handle.in_flight:
            return
        now_s, moved_bytes = self._loop.time(), handle.moved_bytes()
        if moved_bytes != seen.moved_bytes or moved_bytes < 0:
            self._wait(handle, moved_bytes, now_s)
        elif now_s - seen.since_s >= handle.idle_timeout_s:
            moved = format_number_of(moved_bytes, "byte")
            self._give_up(handle, f"nothing was sent or received for {handle.idle_timeout_s:g} s, after {moved}")
        else:
            self._wait(handle, moved_bytes, seen.since_s)
