"""The part of a VU for streamed requests, WebSockets and measured calls (``fl.measure``)."""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Unpack

from fastload.load.client.context import WorkerContext
from fastload.load.client.judged_request import JudgedRequest
from fastload.load.client.prepared_request import prepare_request
from fastload.load.client.redirects import Chain
from fastload.load.client.request_options import NO_DEFAULTS, RequestOptions, VUDefaults, as_method
from fastload.load.client.streamed_request import PreparedStream, StreamedRequest, StreamSender
from fastload.load.client.websocket import WebSocket, WebSocketOpening, WebSocketSession
from fastload.load.engine.curl_handle import ConnectionCache
from fastload.load.engine.curl_transfer import Transfer
from fastload.load.engine.curl_websocket import WebSocketTransfer
from fastload.load.engine.header_lines import is_token
from fastload.load.recording.scope import Scope
from fastload.model.errors import PlanError
from fastload.model.public_types import described_options

if TYPE_CHECKING:
    from fastload.load.client.reply import Reply
    from fastload.load.recording.recorder import Recorder

_HTTP = re.compile(r"http(?=s?://)", re.IGNORECASE)
_WS = re.compile(r"^ws(?=s?://)", re.IGNORECASE)
_NOT_OF_WEBSOCKETS = ("json", "data", "files", "expected", "retry", "keep_body")
_NOT_OF_STREAMS = ("retry", "keep_body")


class StreamingClient(StreamSender):
    """The part of a `VU` for streamed requests, WebSockets and measured calls."""

    _context: WorkerContext
    _cache: ConnectionCache
    _vu_defaults: VUDefaults | None
    _due_ns: int
    _transfers: list[Transfer]
    id: int
    _request_count: int
    _in_flight: int
    _in_on_stop: bool
    _is_closed: bool

    def __init__(self) -> None:
        self._call_due_ns = 0
        self._sockets: set[WebSocket] = set()
        self._streaming: list[Transfer] = []

    @described_options(RequestOptions, without=_NOT_OF_STREAMS)
    def stream(self, method: str, url: str, **options: Unpack[RequestOptions]) -> StreamedRequest:
        """Send a request and read its body while it arrives: ``async with vu.stream("GET", "/events") as reply:``.

        The block begins when the headers have arrived. The request is recorded when the block ends, like every other
        request. A block that ends before the body ends the transfer too, which is not a failure. The time-out
        includes the whole body.

        Raises:
            PlanError: an option is not valid here.
        """
        _refuse(options, _NOT_OF_STREAMS, "a stream")
        return StreamedRequest(self, as_method(method), url, options)

    @described_options(RequestOptions, without=_NOT_OF_WEBSOCKETS)
    def websocket(
        self, url: str, *, subprotocols: tuple[str, ...] = (), **options: Unpack[RequestOptions]
    ) -> WebSocketSession:
        """Open a WebSocket for the length of a block: ``async with vu.websocket("/ws") as ws:``.

        *url* is relative to the base URL, or absolute with the scheme ws or wss (http and https mean the same here).
        The end of the block closes the WebSocket with code 1000, or with 1001 if the iteration is interrupted. The
        client offers *subprotocols*; `WebSocket.subprotocol` is the choice of the server. The *options* are those of
        the opening handshake, ``timeout`` too.

        Raises:
            PlanError: an option is not valid here.
            WebSocketError: at the beginning of the block, if the WebSocket cannot be opened.
        """
        _refuse(options, _NOT_OF_WEBSOCKETS, "a WebSocket")
        given: dict[str, Any] = dict(options)
        if subprotocols:
            _check_subprotocols(subprotocols)
            given["headers"] = {**(given.get("headers") or {}), "Sec-WebSocket-Protocol": ", ".join(subprotocols)}
        return WebSocketSession(lambda: self._opening(url, given), self._connected, self._sockets, self._recorder)

    @abstractmethod
    def _scope(self) -> Scope:
        """Return the scope in which the calling code runs."""

    @property
    def _recorder(self) -> Recorder:
        """The recorder of the worker."""
        return self._context.recorder

    @abstractmethod
    def _new_transfer(self) -> Transfer: ...

    @abstractmethod
    def _finish(
        self,
        transfer: Transfer,
        error: tuple[int, str] | None,
        endpoint: int,
        due_ns: int,
        method: str,
        url: str,
        judged: Any,
    ) -> Reply: ...

    def _due_of_call(self) -> int:
        """Return when the beginning call was due; 0 except for the first call of an iteration. For `fl.measure`.

        A request before the call uses up the due time of the iteration. A request within the call may still use the
        due time too.
        """
        due_ns = self._due_ns
        if due_ns == self._call_due_ns:
            return 0
        self._call_due_ns = due_ns
        return due_ns

    def _call_ended(self, due_ns: int) -> None:
        """Count a call that did not raise; no later request counts from *due_ns*. For `fl.measure`."""
        self._request_count += 1
        if due_ns and self._due_ns == due_ns:
            self._due_ns = 0

    def _begin_stream(self, method: str, url: str, options: Mapping[str, Any]) -> PreparedStream:
        self._end_if_stopping()
        scope = self._scope()
        prepared = prepare_request(self._context, self._vu_defaults or NO_DEFAULTS, scope, method, url, dict(options))
        transfer = self._streaming.pop() if self._streaming else self._new_transfer()
        try:
            transfer.apply(prepared.settings)
            transfer.send_cookies(prepared.cookie)
            transfer.prepare(method, prepared.url, prepared.lines, prepared.body)
        except BaseException:
            # A file that is gone, for example. The handle may have a part of the settings, so no request uses it again.
            self._transfers.remove(transfer)
            transfer.close()
            raise
        due_ns, self._due_ns = self._due_ns, 0
        chain = Chain.begin(transfer, monotonic_ns(), method, prepared.url, prepared.lines, prepared.body)
        return PreparedStream(
            transfer,
            prepared.url,
            prepared.endpoint,
            prepared.expected,
            scope,
            options.get("name") or "",
            options.get("tags"),
            due_ns,
            chain,
        )

    def _submit_stream(self, out: PreparedStream) -> None:
        self._recorder.stats.started += 1
        self._request_count += 1
        self._in_flight += 1
        self._context.engine.submit(out.transfer)

    def _end_stream(self, out: PreparedStream) -> None:
        self._context.engine.finish(out.transfer)

    def _finish_stream(
        self, out: PreparedStream, error: tuple[int, str] | None, method: str, judged: JudgedRequest
    ) -> None:
        self._in_flight -= 1
        self._finish(out.transfer, error, out.endpoint, out.due_ns, method, out.url, judged)

    def _follow_stream(self, out: PreparedStream, url: str) -> PreparedStream:
        transfer, chain, context = out.transfer, out.chain, self._context
        self._in_flight -= 1
        self._finish(transfer, None, out.endpoint, out.due_ns, chain.method, chain.url, None)
        chain.follow(transfer, transfer.status(), url)
        endpoint = context.endpoint(out.scope, chain.method, context.relative(url), out.name, out.tags)
        self._submit_stream(out)
        return out._replace(endpoint=endpoint, due_ns=0)

    def _give_up_stream(self, out: PreparedStream) -> None:
        if self._context.engine.cancel(out.transfer):
            self._in_flight -= 1
            self._recorder.record_interrupted(out.endpoint, out.transfer)
        self._release_stream(out)

    def _release_stream(self, out: PreparedStream) -> None:
        if self._is_closed:
            return
        out.transfer.stream_to(len, len)
        if out.chain.redirects_left != out.transfer.max_redirects:
            out.transfer.end_redirects()
        self._streaming.append(out.transfer)

    def _close_sockets(self) -> None:
        """Close all open WebSockets, because the VU leaves."""
        for socket in list(self._sockets):
            socket._abandon()
        self._sockets.clear()
        self._streaming.clear()

    def _end_if_stopping(self) -> None:
        if self._context.stopping and not self._in_on_stop:
            raise asyncio.CancelledError

    def _opening(self, url: str, options: dict[str, Any]) -> WebSocketOpening:
        self._end_if_stopping()
        context, scope = self._context, self._scope()
        http_url = _WS.sub("http", url, count=1)
        prepared = prepare_request(context, self._vu_defaults or NO_DEFAULTS, scope, "GET", http_url, options)
        full_url = _HTTP.sub("ws", prepared.url, count=1)
        transfer = WebSocketTransfer()
        http = context.http_of(self.id)
        transfer.configure(http, cache=self._cache, resolve=context.resolve, keep_body=False, number=self.id)
        context.engine.adopt(transfer)
        transfer.owner = context.engine
        try:
            transfer.apply(prepared.settings)
            transfer.send_cookies(prepared.cookie)
            transfer.prepare_handshake(full_url, prepared.lines)
        except BaseException:
            transfer.close()
            raise
        # The opening uses up the due time of the iteration: no later request counts from it.
        self._due_ns = 0
        own_s = prepared.settings.timeout_s if prepared.settings is not None else None
        limit_s = context.http.timeout_s if own_s is None else own_s
        return WebSocketOpening(
            transfer, full_url, self._recorder.name_of(prepared.endpoint), limit_s, options.get("tags"), scope
        )

    def _connected(self) -> None:
        self._request_count += 1


def _check_subprotocols(subprotocols: tuple[str, ...]) -> None:
    """Check that each of *subprotocols* is one name (RFC 6455, section 4.1): ``("a, b",)`` would offer two."""
    if not isinstance(subprotocols, tuple | list) or not all(
        isinstance(name, str) and is_token(name) for name in subprotocols
    ):
        raise PlanError(
            f"subprotocols {subprotocols!r} are no tuple of names", hint='write subprotocols=("chat.v2", "chat.v1")'
        )


def _refuse(options: Mapping[str, Any], unwanted: tuple[str, ...], what: str) -> None:
    for option in unwanted:
        if option in options:
            raise PlanError(f"{what} has no option {option!r}", hint="leave it out")
