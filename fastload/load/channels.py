"""What a VU can do beside requests: WebSockets, and the calls of any code that ``fl.measure`` times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastload.load.context import Context, check_tags, fold_path
from fastload.load.curl import ConnectionCache, WebSocketTransfer
from fastload.load.place import Place
from fastload.load.websocket import Opening, Session, WebSocket

if TYPE_CHECKING:
    from fastload.load.recorder import Recorder

_HTTP = re.compile(r"http(?=s?://)", re.IGNORECASE)


class Channels:
    """The part of a `VU` that is no request."""

    _context: Context
    _cache: ConnectionCache
    _due_ns: int
    requests: int

    def __init__(self) -> None:
        self._call_due_ns = 0
        self._sockets: set[WebSocket] = set()

    def websocket(
        self,
        url: str,
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
        timeout_s: float | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Session:
        """A WebSocket for the length of a block: ``async with vu.websocket("/ws") as ws:``.

        *url* is relative to the base URL, or absolute: ws, wss, or http and https, which mean the same here. At the
        end of the block it is closed with 1000, with 1001 when the iteration is interrupted.

        Args:
            name: what the statistics call it; by default the path with numbers, UUIDs and long hex as ``{id}``.
            params: the query string.
            headers: added to the run's; a name given here replaces the run's.
            subprotocols: what to offer; `WebSocket.subprotocol` is what the server chose.
            timeout_s: for connecting; by default the run's.
            tags: for thresholds on some sessions only.

        Raises:
            PlanError: a relative *url* without a base URL, or a tag with the name of a built-in one.
            WebSocketError: when the block begins, and it cannot be opened.
        """
        own = {str(key): str(value) for key, value in tags.items()} if tags else None
        check_tags(own or {})
        given = dict(headers or {})
        if subprotocols:
            given["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)

        def opening() -> Opening:
            context = self._context
            full_url = _HTTP.sub("ws", context.absolute(url, params), count=1)
            _, lines = context.body_and_headers(None, None, given or None)
            limit_s = context.http.timeout_s if timeout_s is None else timeout_s
            # What is due is the opening: nothing after it counts from then.
            self._due_ns = 0
            return Opening(full_url, name or fold_path(url), lines, limit_s, own, self.place)

        return Session(opening, self._new_socket, self._connected, self._sockets, self.recorder)

    @property
    def place(self) -> Place:
        """For the engine: where the code that asks runs."""
        raise NotImplementedError

    @property
    def recorder(self) -> Recorder:
        """For the engine."""
        return self._context.recorder

    def due_of_call(self) -> int:
        """For `fl.measure`: when the call that begins was due; 0 for all but the first of an iteration.

        A request before it has used the due time up; one within it may still use it, too.
        """
        due_ns = self._due_ns
        if due_ns == self._call_due_ns:
            return 0
        self._call_due_ns = due_ns
        return due_ns

    def call_ended(self, due_ns: int) -> None:
        """For `fl.measure`: a call did not raise; no request after it counts from *due_ns*."""
        self.requests += 1
        if due_ns and self._due_ns == due_ns:
            self._due_ns = 0

    def close_sockets(self) -> None:
        """For the engine: the user leaves."""
        for socket in list(self._sockets):
            socket.abandon()
        self._sockets.clear()

    def _connected(self) -> None:
        self.requests += 1

    def _new_socket(self) -> WebSocketTransfer:
        context = self._context
        transfer = WebSocketTransfer()
        transfer.configure(context.http, cache=self._cache, resolve=context.resolve, keep_body=False)
        context.engine.adopt(transfer)
        transfer.owner = context.engine
        return transfer
