"""Awaitable for the end of a transfer, without the additional turn of the loop that an `asyncio.Future` needs."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator
from typing import Any

from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_transfer import Transfer


class TransferFuture:
    """Awaitable for the end of one submitted transfer, which wakes the awaiting task at once.

    It follows asyncio's protocol for foreign futures: the task continues within the engine's own wake-up and not one
    turn of the loop later. Compared with an `asyncio.Future` this saves about 1 us a request. When the await returns,
    ``error`` is set as in ``on_done``.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_cancelled",
        "_context",
        "_engine",
        "_loop",
        "_transfer",
        "_wake_up",
        "error",
    )

    def __init__(self, engine: CurlEngine, transfer: Transfer, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._engine = engine
        self._transfer = transfer
        self._loop = loop
        self._wake_up: Callable[[TransferFuture], None] | None = None
        self._context: contextvars.Context
        self._cancelled = False
        self.error: tuple[int, str] | None = None
        transfer.on_done = self._on_done

    def __await__(self) -> Generator[TransferFuture, None, None]:
        self._cancelled = False
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, wake_up: Callable[[TransferFuture], None], *, context: contextvars.Context) -> None:
        """Set the callback that continues the task; it must run in *context*, the context of the task."""
        self._wake_up = wake_up
        self._context = context

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002 - asyncio passes it by place or by name
        """Cancel the transfer, because its task is cancelled, and wake the task in the next turn of the loop."""
        self._engine.cancel(self._transfer)
        self._cancelled = True
        if self._wake_up is not None:
            self._loop.call_soon(self._wake_up, self, context=self._context)
            self._wake_up = None
        return True

    def result(self) -> None:
        """Return None; asyncio calls it for the task.

        Raises:
            CancelledError: the task was cancelled while it waited.
        """
        if self._cancelled:
            raise asyncio.CancelledError

    def _on_done(self, _transfer: Transfer, error: tuple[int, str] | None) -> None:
        self.error = error
        wake_up, self._wake_up = self._wake_up, None
        if wake_up is not None:
            self._context.run(wake_up, self)
