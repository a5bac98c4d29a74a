"""Those who watch a run: each gets the newest there is, as fast as it takes it, by server-sent events.

The events are ``data`` (a message of `LiveRun`), ``status`` (phase, clock, scenarios, how many watch; each second) and
``end``, after which there is nothing more to come.
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
    """The viewers of *live*. *status* says where the run is; it is asked once a second for all, while there are any.

    Use it from one event loop.
    """

    def __init__(self, live: LiveRun, status: Status) -> None:
        self._live = live
        self._status = status
        self._wakers: set[asyncio.Event] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._said: dict[str, Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._wakers)

    @property
    def is_full(self) -> bool:
        return len(self._wakers) >= MOST_VIEWERS

    async def watch(self) -> AsyncIterator[bytes]:
        """All events for one viewer, to the end of the run."""
        wake = asyncio.Event()
        self._come(wake)
        try:
            yield b"retry: %d\n\n" % _RETRY_MS
            number, said = -1, None
            while True:
                # Cleared first: what comes while this is sent is seen in the next round.
                wake.clear()
                is_over = self._live.is_over
                if number != self._live.number:
                    number, message = self._live.message_after(number)
                    yield b"event: data\ndata: %b\n\n" % message
                if self._said is not None and said is not self._said:
                    said = self._said
                    yield _event("status", said)
                if is_over:
                    yield _event("end", {})
                    return
                await wake.wait()
        finally:
            self._leave(wake)

    async def refresh(self) -> None:
        """Ask for the status now, and tell all. When it cannot be had, that is told instead."""
        try:
            found = await self._status()
        except Exception as error:
            # Whatever it is: in the next second it is asked again.
            found = {"trouble": f"where the run is cannot be found out ({type(error).__name__})"}
        self._said = {**found, "viewers": len(self._wakers)}
        self._wake_all()

    def _come(self, wake: asyncio.Event) -> None:
        if not self._wakers:
            self._loop = asyncio.get_running_loop()
            self._live.listen(self._on_news)
        self._wakers.add(wake)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    def _leave(self, wake: asyncio.Event) -> None:
        self._wakers.discard(wake)
        if not self._wakers:
            self._live.unlisten(self._on_news)
            if self._ticking is not None:
                self._ticking.cancel()
                self._ticking = None

    def _on_news(self) -> None:
        """Called from the thread that feeds the run."""
        assert self._loop is not None
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for wake in self._wakers:
            wake.set()

    async def _tick(self) -> None:
        while not self._live.is_over:
            await self.refresh()
            await asyncio.sleep(_STATUS_S)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps(data, allow_nan=False).encode())
