"""The viewers of a run: each gets the newest data by server-sent events. A slow viewer gets fewer, larger updates.

The events are ``data`` (a message of `LiveRun`), ``status`` (phase, time, scenarios, number of viewers; each second)
and ``end``, which is the last event. A stream stays open after it until `LiveRun.close`: as long as there is one,
somebody looks at the page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastload.dashboard.live_run import LiveRun

MOST_VIEWERS = 64
_RETRY_MS = 1000
_STATUS_S = 1.0

Status = Callable[[], Awaitable[dict[str, Any]]]


class Viewers:
    """The viewers of *live*. *status* returns the state of the run; it is called once a second while there are viewers.

    Not thread-safe: use it from one event loop.
    """

    def __init__(self, live: LiveRun, status: Status) -> None:
        self._live = live
        self._status = status
        self._wakers: set[asyncio.Event] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._last_status: dict[str, Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._wakers)

    @property
    def is_full(self) -> bool:
        return len(self._wakers) >= MOST_VIEWERS

    async def watch(self) -> AsyncIterator[bytes]:
        """Yield all events for one viewer, until the run is over and closed."""
        wake = asyncio.Event()
        self._add_viewer(wake)
        try:
            yield b"retry: %d\n\n" % _RETRY_MS
            number, said = -1, None
            while True:
                # Clear before sending, so that data that arrives meanwhile starts another round.
                wake.clear()
                is_over = self._live.is_over
                if number != self._live.number:
                    number, message = self._live.message_after(number)
                    yield b"event: data\ndata: %b\n\n" % message
                if self._last_status is not None and said is not self._last_status:
                    said = self._last_status
                    yield _event("status", said)
                if is_over:
                    yield _event("end", {})
                    break
                await wake.wait()
            while not self._live.is_closed:
                await wake.wait()
                wake.clear()
        finally:
            self._remove_viewer(wake)

    async def refresh(self) -> None:
        """Request the status now and send it to all viewers; after an error, send the error as ``trouble``."""
        try:
            found = await self._status()
        except Exception as error:
            # Any error is only reported: the next request follows in a second.
            found = {"trouble": f"where the run is cannot be found out ({type(error).__name__})"}
        self._last_status = {**found, "viewers": len(self._wakers)}
        self._wake_all()

    def _add_viewer(self, wake: asyncio.Event) -> None:
        if not self._wakers:
            self._loop = asyncio.get_running_loop()
            self._live.listen(self._on_news)
        self._wakers.add(wake)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._poll_status())

    def _remove_viewer(self, wake: asyncio.Event) -> None:
        self._wakers.discard(wake)
        if not self._wakers:
            self._live.unlisten(self._on_news)
            if self._ticking is not None:
                self._ticking.cancel()
                self._ticking = None

    def _on_news(self) -> None:
        """Wake all viewers. Called from the thread that adds the seconds to the `LiveRun`."""
        assert self._loop is not None
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for wake in self._wakers:
            wake.set()

    async def _poll_status(self) -> None:
        while not self._live.is_over:
            await self.refresh()
            await asyncio.sleep(_STATUS_S)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps(data, allow_nan=False).encode())
