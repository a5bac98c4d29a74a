"""Streamed requests, whose body the script reads while it arrives: ``async with vu.stream("GET", url) as reply:``."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Mapping
from time import monotonic_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from fastload.load.client.judged_request import JudgedRequest
from fastload.load.client.redirects import Chain
from fastload.load.client.reply import JudgedReply, Reply
from fastload.load.client.sse import EventParser, LineSplitter, ServerEvent
from fastload.load.engine.curl_transfer import BODY_NOT_READ
from fastload.load.engine.header_lines import REDIRECTS, status_of
from fastload.load.recording import blocks
from fastload.model.errors import FastloadError
from fastload.model.public_types import called_by_fastload

if TYPE_CHECKING:
    from fastload.load.client.expected_statuses import ExpectedStatuses
    from fastload.load.engine.curl_transfer import Measurement, Transfer
    from fastload.load.recording.recorder import Recorder
    from fastload.load.recording.scope import Scope

BUFFER_BYTES = 256 * 2**10
"""The transfer pauses if more unread bytes are buffered; it resumes at half of this size."""
_ASKS_FOR_AUTH = (401, 407)
_NOTHING = (0,) * 11


class BodyBuffer:
    """The buffer of received, unread chunks of a body. libcurl writes to it, one coroutine reads it."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self._another_response_follows = self._is_redirect = False
        self.header_lines: list[bytes] = []
        self.headers_complete = False
        self.ended = False

    def on_header(self, line: bytes) -> None:
        """Add a header line, of this response or of an earlier one (a redirect, for example). libcurl calls this."""
        self.header_lines.append(line)
        if line.startswith(b"HTTP/"):
            self.status = status_of(line.decode("latin-1"))
            # libcurl may answer this response with credentials. If it does not, the first chunk of the body or the end
            # of the transfer shows that this response is the final one.
            self._another_response_follows = self.status < 200 or self.status in _ASKS_FOR_AUTH
            self._is_redirect = False
        elif line[:9].lower() == b"location:" and self.status in REDIRECTS and self._transfer.max_redirects:
            self._another_response_follows = self._is_redirect = True
        elif not line.strip() and not self._another_response_follows:
            self._complete_headers()

    def on_chunk(self, data: bytes) -> None:
        """Add a chunk of the body; the body of a redirect is not kept. libcurl calls this."""
        if self._is_redirect:
            return
        self._complete_headers()
        self._chunks.append((monotonic_ns(), data))
        self._bytes += len(data)
        if self._bytes > BUFFER_BYTES and not self._is_paused:
            self._is_paused = True
            self._transfer.pause_receiving()
        self._wake()

    def on_done(self) -> None:
        """Mark the end of the transfer."""
        self.ended = True
        self._complete_headers()

    async def wait_for_headers(self) -> None:
        """Wait for the headers of the final response, or for the end of the transfer."""
        while not self.headers_complete:
            await self._wait()

    async def next(self) -> tuple[int, bytes] | None:
        """Return the time of arrival (monotonic, ns) and the bytes of the next chunk; None at the end."""
        while not self._chunks:
            if self.ended:
                return None
            await self._wait()
        piece = self._chunks.popleft()
        self._bytes -= len(piece[1])
        if self._is_paused and self._bytes <= BUFFER_BYTES // 2:
            self._is_paused = False
            if not self.ended:
                self._transfer.resume_receiving()
        return piece

    def drop(self) -> None:
        """Discard the unread chunks; the block is over."""
        self._chunks.clear()
        self._bytes = 0

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise FastloadError("two coroutines read one stream", hint="let one read for both")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _complete_headers(self) -> None:
        self.headers_complete = True
        self._wake()

    def _wake(self) -> None:
        # The future resumes the task in the next turn of the loop: the task must not run inside a callback of libcurl.
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class EventTimer:
    """Recorder of the event metrics of one stream: count, time of the first event, gaps between events."""

    def __init__(
        self, recorder: Recorder, scope: Scope, name: str, tags: Mapping[str, str] | None, transfer: Transfer
    ) -> None:
        self._recorder = recorder
        self._scope = scope
        self._name = name
        self._tags = tags
        self._transfer = transfer
        self._submitted_ns = monotonic_ns()
        self._last_ns = 0

    def event(self, at_ns: int) -> None:
        """Record an event that arrived at *at_ns* (monotonic, ns)."""
        if self._last_ns:
            self._sample("stream_event_gap", (at_ns - self._last_ns) // 1000)
        else:
            sent_ns = self._submitted_ns + self._transfer.measure()[4] * 1000
            self._sample("stream_first_event", max(0, at_ns - sent_ns) // 1000)
        self._sample("stream_events", 1)
        self._last_ns = at_ns

    def _sample(self, metric: str, value: int) -> None:
        self._recorder.sample(self._scope, metric, self._name, value, self._tags)


class StreamedReply(JudgedReply):
    """A reply whose body is read while it arrives, once: with `lines`, `events`, `chunks` or `read`.

    Status and headers are available from the beginning of the block, times and ``error`` after the end of the body. If
    the transfer fails within the body, these methods end without an exception, and ``ok`` is False.
    """

    __slots__ = ("_buffer", "_event_timer")

    @called_by_fastload
    def __init__(self, method: str, url: str, buffer: BodyBuffer, event_timer: EventTimer) -> None:
        super().__init__(method, url, _NOTHING)
        self._buffer = buffer
        self._event_timer = event_timer

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body in chunks as they arrive; their size has no meaning."""
        while (piece := await self._buffer.next()) is not None:
            yield piece[1]

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of the body, decoded as UTF-8, without line ends. Each non-empty line counts as an event.

        Raises:
            FastloadError: a line is longer than 16 MiB.
        """
        splitter = LineSplitter()
        while (piece := await self._buffer.next()) is not None:
            at_ns, data = piece
            for line in splitter.feed(data):
                if line:
                    self._event_timer.event(at_ns)
                yield line.decode("utf-8", "replace")
        if (last := splitter.end()) and not self.error:
            self._event_timer.event(monotonic_ns())
            yield last.decode("utf-8", "replace")

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Yield the server-sent events of the body.

        Raises:
            FastloadError: a line is longer than 16 MiB.
        """
        parser = EventParser()
        while (piece := await self._buffer.next()) is not None:
            at_ns, data = piece
            for event in parser.feed(data):
                self._event_timer.event(at_ns)
                yield event

    async def read(self) -> bytes:
        """Return the rest of the body; afterwards ``body``, ``text`` and ``json()`` return this rest too."""
        self._body = b"".join([chunk async for chunk in self.chunks()])
        return self._body


class PreparedStream(NamedTuple):
    """A streamed request, ready to be sent. *due_ns* is when the request was due, 0 without a schedule."""

    transfer: Transfer
    url: str
    endpoint: int
    expected: ExpectedStatuses | None
    scope: Scope
    name: str
    tags: Mapping[str, str] | None
    due_ns: int
    chain: Chain


class StreamSender(ABC):
    """The interface of a VU that `StreamedRequest` uses."""

    @property
    @abstractmethod
    def _recorder(self) -> Recorder:
        """The recorder of the worker."""

    @abstractmethod
    def _was_interrupted(self) -> bool:
        """Return whether the iteration is interrupted, or the run is stopping."""

    @abstractmethod
    def _begin_stream(self, method: str, url: str, options: Mapping[str, Any]) -> PreparedStream:
        """Prepare the request on a handle that no other request uses."""

    @abstractmethod
    def _submit_stream(self, out: PreparedStream) -> None:
        """Send the prepared request."""

    @abstractmethod
    def _end_stream(self, out: PreparedStream) -> None:
        """End the transfer early, as if the body were complete."""

    @abstractmethod
    def _finish_stream(
        self, out: PreparedStream, error: tuple[int, str] | None, method: str, judged: JudgedRequest
    ) -> None:
        """Record the end of the transfer."""

    @abstractmethod
    def _follow_stream(self, out: PreparedStream, url: str) -> PreparedStream:
        """Record the redirect to *url*, and send the request that follows it.

        Raises:
            OSError: a file of the body cannot be opened.
        """

    @abstractmethod
    def _give_up_stream(self, out: PreparedStream) -> None:
        """Cancel the transfer without recording it, because the iteration is interrupted; release its handle."""

    @abstractmethod
    def _release_stream(self, out: PreparedStream) -> None:
        """Make the handle free for the next streamed request."""


class StreamedRequest(JudgedRequest):
    """A request whose body is read in the block. It is recorded once, when the block ends.

    If the block ends before the body, the transfer ends too, which is not a failure.
    """

    __slots__ = ("_buffer", "_method", "_options", "_outgoing", "_streamed", "_url", "_vu")
    _call = "vu.stream(...)"

    def __init__(self, vu: StreamSender, method: str, url: str, options: Mapping[str, Any]) -> None:
        self._vu = vu
        self._method = method
        self._url = url
        self._options = options
        if blocks.notes_makers:
            self._note_maker()

    def reply_class(self, _method: str, _url: str, measurement: Measurement) -> Reply:  # type: ignore[override]
        """Return the reply of the block, with times and status. The VU calls this when the transfer has ended."""
        self._streamed._measurement, self._streamed.status = measurement, measurement[0]
        return self._streamed

    async def __aenter__(self) -> StreamedReply:
        self._is_entered = True
        vu = self._vu
        self._outgoing = out = vu._begin_stream(self._method, self._url, self._options)
        self.expected = out.expected
        self._buffer = buffer = BodyBuffer(out.transfer)
        out.transfer.stream_to(buffer.on_chunk, buffer.on_header, buffer.header_lines)
        out.transfer.on_done = self._on_done
        event_timer = EventTimer(vu._recorder, out.scope, vu._recorder.name_of(out.endpoint), out.tags, out.transfer)
        self._streamed = reply = StreamedReply(self._method, out.url, buffer, event_timer)
        reply._header_lines = buffer.header_lines
        vu._submit_stream(out)
        try:
            await buffer.wait_for_headers()
        except BaseException:
            vu._give_up_stream(out)
            raise
        if not buffer.ended:
            reply.status = buffer.status
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        vu, out = self._vu, self._outgoing
        self._buffer.drop()
        gave_up = isinstance(error, asyncio.CancelledError | GeneratorExit) and vu._was_interrupted()
        if not self._buffer.ended:
            if gave_up:
                vu._give_up_stream(out)
                return
            vu._end_stream(out)
        vu._release_stream(out)
        await super().__aexit__(kind, error, traceback)

    def _on_done(self, transfer: Transfer, error: tuple[int, str] | None) -> None:
        out, url = self._outgoing, transfer.next_url()
        if error is None and transfer.status() in REDIRECTS and url:
            error = out.chain.error(transfer.status(), url)
            if error is None:
                try:
                    self._outgoing = self._vu._follow_stream(out, url)
                except OSError as cause:
                    error = BODY_NOT_READ, str(cause)
                else:
                    return
        self._vu._finish_stream(self._outgoing, error, self._method, self)
        self._streamed._header_lines = self._buffer.header_lines
        self._buffer.on_done()
