"""WebSockets of a VU, on the same engine as its requests: ``async with vu.websocket("/ws") as ws:``."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from time import monotonic_ns
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from fastload.load.client.ws_payloads import (
    GOING_AWAY,
    GOOD_CODES,
    LOST,
    NORMAL,
    close_payload,
    message_payload,
    read_close,
)
from fastload.load.engine.curl import READABLE, WRITABLE
from fastload.load.engine.curl_websocket import (
    WS_BINARY,
    WS_CLOSE,
    WS_CONT,
    WS_PING,
    WS_PONG,
    WS_TEXT,
    TransferError,
    WebSocketTransfer,
)
from fastload.load.engine.error_kinds import error_kind
from fastload.load.engine.header_lines import last_headers
from fastload.load.recording import blocks
from fastload.model.errors import FastloadError
from fastload.model.http_settings import without_credentials
from fastload.model.public_types import PublicType, called_by_fastload

if TYPE_CHECKING:
    from fastload.load.recording.recorder import Recorder
    from fastload.load.recording.scope import Scope

MAX_MESSAGE_BYTES = 64 * 2**20
"""Maximum size of a received message; a longer one ends the connection with an error."""
INBOX_BYTES = 2**20
"""Reading from the socket pauses if more bytes of messages are buffered; it resumes at half of this size."""
CLOSE_TIMEOUT_S = 5.0
INTERRUPTED_CLOSE_S = 0.5
"""Time limit for the server's close frame if the iteration is interrupted."""
_SWITCHING = 101
_TIMED_OUT, _GOT_NOTHING = 28, 52
# A response with "Connection: close": libcurl closes the connection, and reports a handshake that went well.
_CLOSED_AT_ONCE = (8, "the server switches the protocol and closes the connection in one answer")
_READ_BYTES = 65_536
_READS_A_WAKE_UP = 64
# Every frame of a client is masked.
_MASK_BYTES = 4


class WebSocketError(FastloadError):
    """A WebSocket could not be opened, or its connection broke. ``kind`` is the kind of error that is counted."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class WebSocketClosed(WebSocketError):
    """The WebSocket is closed. ``code`` and ``reason`` are those of the close frame; 1005: a frame without a code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket was closed with {code} {reason}".rstrip(), "ws_closed")
        self.code = code
        self.reason = reason


class WebSocketOpening(NamedTuple):
    """A prepared opening handshake: handle, absolute URL, time limit, and the name, tags and scope of its samples."""

    transfer: WebSocketTransfer
    url: str
    name: str
    timeout_s: float
    tags: Mapping[str, str] | None
    scope: Scope


class WebSocket(metaclass=PublicType):
    """An open WebSocket. Only one coroutine may receive at a time; several may send.

    ``code`` and ``reason`` are those of the close frame, 0 and "" while the WebSocket is open; ``code`` is 1006 after a
    broken connection. ``headers`` are those of the server's handshake response.
    """

    @called_by_fastload
    def __init__(self, transfer: WebSocketTransfer, opening: WebSocketOpening, recorder: Recorder) -> None:
        self.code = 0
        self.reason = ""
        self.headers: Mapping[str, str] = last_headers(transfer.take_headers())
        self._transfer = transfer
        self._opening = opening
        self._recorder = recorder
        self._engine = transfer.owner
        self._since_ns = monotonic_ns()
        self._inbox: deque[str | bytes] = deque()
        self._inbox_bytes = 0
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._control: list[bytes] = []
        self._frame_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending = asyncio.Lock()
        self._pings: dict[bytes, tuple[int, asyncio.Future[None]]] = {}
        self._ping_number = 0
        self._answers: set[asyncio.Task[None]] = set()
        self._error: WebSocketError | None = None
        self._close_sent = False
        self._paused = False
        transfer.on_ready = self._on_ready
        self._watch()
        # libcurl may have received the first frames together with the handshake response.
        asyncio.get_running_loop().call_soon(self._read)

    def __repr__(self) -> str:
        state = f"closed {self.code}" if self._error else "open"
        return f"<WebSocket {without_credentials(self._opening.url)} {state}>"

    @property
    def subprotocol(self) -> str:
        """The subprotocol that the server chose, or ""."""
        return self.headers.get("sec-websocket-protocol", "")

    @property
    def closed(self) -> bool:
        """Whether the WebSocket is closed or broken, so that nothing can be sent."""
        return self._error is not None

    async def send(self, message: str | bytes) -> None:
        """Send a str as a text message, or bytes as a binary message. Wait while the socket's send buffer is full.

        Raises:
            PlanError: *message* is of another type.
            WebSocketClosed: the WebSocket is closed.
            WebSocketError: the connection is broken.
        """
        data = message_payload(message)
        await self._send(data, WS_TEXT if isinstance(message, str) else WS_BINARY)
        self._count("ws_msgs_sent")

    async def receive(self, timeout_s: float | None = None) -> str | bytes:
        """Return the next complete message.

        Raises:
            TimeoutError: no message arrived within *timeout_s* seconds.
            WebSocketClosed: the WebSocket is closed, and no message is left to receive.
            WebSocketError: the connection is broken, and no message is left to receive.
        """
        if not self._inbox and not self._error:
            if self._waiter is not None:
                raise FastloadError("two coroutines receive from one WebSocket", hint="let one receive for both")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._waiter
            finally:
                self._waiter = None
        if not self._inbox:
            assert self._error is not None
            raise self._error
        message = self._inbox.popleft()
        self._inbox_bytes -= len(message)
        if self._paused and self._inbox_bytes <= INBOX_BYTES // 2:
            self._paused = False
            self._watch()
            self._read()
        return message

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._messages()

    async def ping(self, timeout_s: float | None = None) -> float:
        """Send a ping, wait for its pong, and return the round-trip time in milliseconds.

        Raises:
            TimeoutError: the pong did not arrive within *timeout_s* seconds.
            WebSocketClosed: the WebSocket is closed.
            WebSocketError: the connection is broken.
        """
        self._ping_number += 1
        payload = struct.pack("!Q", self._ping_number)
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        begin_ns = monotonic_ns()
        self._pings[payload] = begin_ns, pong
        try:
            await self._send(payload, WS_PING)
            async with asyncio.timeout(timeout_s):
                await pong
        finally:
            self._pings.pop(payload, None)
        if self._error is not None:
            raise self._error
        return self._ping_ns / 1e6

    async def close(self, code: int = NORMAL, reason: str = "", *, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Close the WebSocket, and wait at most *timeout_s* seconds for the server's close frame.

        *code* is from 1000 to 4999; *reason* has at most 123 bytes. Further calls do nothing.

        Raises:
            PlanError: no close frame can have this *code* or *reason*.
        """
        payload = close_payload(code, reason)
        if self._error is None and not self._close_sent:
            self._close_sent = True
            # Nobody receives the buffered messages any more; a full buffer would stop the reading of the close frame.
            self._drop_inbox()
            with suppress(WebSocketError, TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._send(payload, WS_CLOSE)
                    await self._ended
        self._end(code, reason, None)

    async def _messages(self) -> AsyncIterator[str | bytes]:
        """Yield every message until the WebSocket is closed.

        Raises:
            WebSocketClosed: the server closed it with a code other than 1000 and 1001; a close without a code is fine.
            WebSocketError: the connection broke.
        """
        while True:
            try:
                message = await self.receive()
            except WebSocketClosed as closed:
                if closed.code in GOOD_CODES or self._close_sent:
                    return
                raise
            yield message

    async def _send(self, data: bytes | memoryview, flags: int) -> None:
        async with self._sending:
            left = memoryview(data)
            while True:
                if self._error is not None:
                    raise self._error
                try:
                    left = left[self._transfer.send_frame(left, flags) :]
                    if not left:
                        self._sample("data_sent", _framed_bytes(len(data)) + _MASK_BYTES)
                        return
                except BlockingIOError:
                    pass
                except TransferError as broken:
                    raise self._break(broken) from None
                self._writable = asyncio.get_running_loop().create_future()
                self._watch()
                try:
                    await self._writable
                finally:
                    self._writable = None
                    self._watch()

    def _watch(self) -> None:
        if self._error is None:
            mask = 0 if self._paused else READABLE
            self._engine.watch(self._transfer, mask | (WRITABLE if self._writable else 0))

    def _on_ready(self, events: int) -> None:
        if events & WRITABLE and self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if events & ~WRITABLE:
            self._read()

    def _read(self) -> None:
        """Read received frames, at most 64 parts; then give the other sockets their turn."""
        for _ in range(_READS_A_WAKE_UP):
            if self._error is not None or self._paused:
                return
            try:
                data, flags, left = self._transfer.receive_frame(_READ_BYTES)
            except BlockingIOError:
                return
            except TransferError as broken:
                self._break(broken)
                return
            self._take(data, flags, left)
        # Over TLS, libcurl may have buffered the rest already: then the socket does not become readable again.
        asyncio.get_running_loop().call_soon(self._read)

    def _take(self, data: bytes, flags: int, left: int) -> None:
        """Process a part of a frame, of which *left* bytes are still missing."""
        self._frame_bytes += len(data)
        if not left:
            self._sample("data_received", _framed_bytes(self._frame_bytes))
            self._frame_bytes = 0
        if flags & (WS_CLOSE | WS_PING | WS_PONG):
            self._control.append(data)
            if not left:
                payload = b"".join(self._control)
                self._control.clear()
                self._handle_control_frame(payload, flags)
            return
        self._parts.append(data)
        self._parts_bytes += len(data)
        if self._parts_bytes + left > MAX_MESSAGE_BYTES:
            self._fail("too_large", f"a message has more than {MAX_MESSAGE_BYTES} bytes")
        elif not left and not flags & WS_CONT:
            whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._parts_bytes = 0
            self._deliver(whole, is_text=bool(flags & WS_TEXT))

    def _deliver(self, whole: bytes, *, is_text: bool) -> None:
        self._count("ws_msgs_received")
        if self._close_sent:
            return
        try:
            self._inbox.append(whole.decode() if is_text else whole)
        except UnicodeDecodeError:
            self._fail("protocol", "a text message is not UTF-8")
            return
        self._inbox_bytes += len(self._inbox[-1])
        if self._inbox_bytes > INBOX_BYTES:
            self._paused = True
            self._watch()
        _wake(self._waiter)

    def _handle_control_frame(self, payload: bytes, flags: int) -> None:
        if flags & WS_PONG:
            since_ns, pong = self._pings.pop(payload, (0, None))
            if pong is not None and not pong.done():
                self._ping_ns = monotonic_ns() - since_ns
                self._sample("ws_ping", self._ping_ns // 1000)
                pong.set_result(None)
        elif flags & WS_PING:
            answer = asyncio.get_running_loop().create_task(self._answer(payload))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)
        elif flags & WS_CLOSE:
            self._take_close(payload)

    def _take_close(self, payload: bytes) -> None:
        """End the session with the *payload* of the server's close frame."""
        try:
            code, reason = read_close(payload)
        except FastloadError as wrong:
            self._fail("protocol", wrong.message)
            return
        if not self._close_sent and not self._sending.locked():
            # A close frame is answered with the same code. It does not matter whether the answer arrives.
            with suppress(BlockingIOError, TransferError):
                self._transfer.send_frame(payload[:2], WS_CLOSE)
                self._sample("data_sent", _framed_bytes(len(payload[:2])) + _MASK_BYTES)
        self._end(code, reason, None)

    async def _answer(self, ping: bytes) -> None:
        with suppress(WebSocketError):
            await self._send(ping, WS_PONG)

    def _break(self, broken: TransferError) -> WebSocketError:
        """End the session because the connection broke, and return the error to raise."""
        code, text = broken.args
        kind = error_kind(self._transfer, code)
        if code == _GOT_NOTHING:
            text = "the server closed it without a close frame"
        return self._fail("reset" if kind == "other" else kind, f"the connection broke: {text}")

    def _fail(self, kind: str, message: str) -> WebSocketError:
        return self._end(LOST, "", WebSocketError(message, kind))

    def _end(self, code: int, reason: str, error: WebSocketError | None) -> WebSocketError:
        """End the session and record it, and return the error to raise. Later calls return the first error."""
        if self._error is not None:
            return self._error
        self.code, self.reason = code, reason
        closed = error or WebSocketClosed(code, reason)
        self._error = closed
        self._engine.close_socket(self._transfer)
        self._transfer.close()
        failed = (error is not None or code not in GOOD_CODES) and not self._close_sent
        self._sample("ws_session_duration", (monotonic_ns() - self._since_ns) // 1000)
        self._sample("ws_failed", int(failed), error=closed.kind if failed else "")
        if failed:
            self._recorder.record_error(closed.kind, f"WS {self._opening.name}: {closed.message}")
        for waiting in (self._waiter, self._writable, self._ended, *(pong for _, pong in self._pings.values())):
            _wake(waiting)
        return closed

    def _abandon(self) -> None:
        """Close the connection at once, without a close frame, because the VU leaves."""
        self._close_sent = True
        self._end(LOST, "", None)

    def _drop_inbox(self) -> None:
        self._inbox.clear()
        self._inbox_bytes = 0
        if self._paused:
            self._paused = False
            self._watch()
            self._read()

    def _count(self, metric: str) -> None:
        self._sample(metric, 1)

    def _sample(self, metric: str, value: int, error: str = "") -> None:
        opening = self._opening
        self._recorder.sample(opening.scope, metric, opening.name, value, opening.tags, error)


class WebSocketSession(blocks.Block):
    """The context manager that `VU.websocket` returns: it opens a WebSocket, and closes it at the end of the block."""

    _call = "vu.websocket(...)"

    def __init__(
        self,
        opening: Callable[[], WebSocketOpening],
        connected: Callable[[], None],
        sockets: set[WebSocket],
        recorder: Recorder,
    ) -> None:
        self._make_opening = opening
        self._on_connected = connected
        self._recorder = recorder
        self._sockets = sockets
        if blocks.notes_makers:
            self._note_maker()

    async def __aenter__(self) -> WebSocket:
        self._is_entered = True
        opening = self._make_opening()
        transfer = opening.transfer
        begin_ns = monotonic_ns()
        try:
            error = await _connected(transfer, opening.timeout_s)
        except BaseException:
            transfer.owner.close_socket(transfer)
            transfer.close()
            raise
        for metric, count in zip(("data_sent", "data_received"), transfer.volumes(), strict=True):
            self._recorder.sample(opening.scope, metric, opening.name, count, opening.tags)
        if error is not None or transfer.status() != _SWITCHING:
            raise self._refused(opening, transfer, error)
        opening = opening._replace(tags=self._recorder.socket_tags(opening.tags, opening.transfer, opening.url))
        record, (scope, name, tags) = self._recorder.sample, (opening.scope, opening.name, opening.tags)
        record(scope, "ws_connecting", name, (transfer.done_ns - begin_ns) // 1000, tags)
        record(scope, "ws_sessions", name, 1, tags)
        self._on_connected()
        self._socket = WebSocket(transfer, opening, self._recorder)
        self._sockets.add(self._socket)
        return self._socket

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cut = error is not None and not isinstance(error, Exception)
        try:
            if cut:
                await self._socket.close(GOING_AWAY, timeout_s=INTERRUPTED_CLOSE_S)
            else:
                await self._socket.close()
        finally:
            self._socket._abandon()
            self._sockets.discard(self._socket)

    def _refused(
        self, opening: WebSocketOpening, transfer: WebSocketTransfer, error: tuple[int, str] | None
    ) -> WebSocketError:
        """Record a failed opening, and return the error to raise."""
        status = transfer.status()
        if status and status != _SWITCHING:
            kind, why = f"http_{status}", f"the server answered {status}"
        else:
            kind, why = error_kind(transfer, error[0] if error else 0), error[1] if error else "no answer"
        transfer.owner.close_socket(transfer)
        transfer.close()
        self._recorder.sample(opening.scope, "ws_failed", opening.name, 1, opening.tags, kind)
        self._recorder.record_error(kind, f"WS {opening.name}: {why}")
        return WebSocketError(f"the WebSocket {opening.name} could not be opened: {why}", kind)


def _framed_bytes(payload_bytes: int) -> int:
    """Return the length of an unmasked frame with *payload_bytes* of payload: RFC 6455, section 5.2."""
    return payload_bytes + 2 + (0 if payload_bytes < 126 else 2 if payload_bytes < 65_536 else 8)


async def _connected(transfer: WebSocketTransfer, timeout_s: float) -> tuple[int, str] | None:
    """Make the opening handshake within *timeout_s* seconds; return libcurl's error number and text, or None."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[tuple[int, str] | None] = loop.create_future()

    def on_done(_transfer: object, error: tuple[int, str] | None) -> None:
        if not over.done():
            over.set_result(error)

    transfer.on_done = on_done
    transfer.owner.open_socket(transfer)
    # libcurl's own time-out covers only the connect of a CONNECT_ONLY handle.
    limit = loop.call_later(timeout_s, on_done, transfer, (_TIMED_OUT, f"no answer within {timeout_s:g} s"))
    try:
        error = await over
    finally:
        limit.cancel()
    return error or (None if transfer.is_connected() else _CLOSED_AT_ONCE)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
