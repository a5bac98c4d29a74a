"""Transfer: the reusable libcurl handle of requests, and its measurement of each request.

Only `curl.py` and the `curl_*.py` import pycurl.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pycurl

from fastload.load.engine.curl_handle import SWITCHING_PROTOCOLS, ConnectionCache, Engine, Handle
from fastload.load.engine.curl_options import SMALL_UPLOAD_BYTES
from fastload.load.engine.request_info import RequestInfoTable
from fastload.load.engine.used_connections import SocketAddress, UnusableConnection
from fastload.model.http_settings import Body, HttpSettings
from fastload.model.urls import encode_url

_RESPONSE_CODE, _NUM_CONNECTS = pycurl.RESPONSE_CODE, pycurl.NUM_CONNECTS
_LOOKUP, _CONNECT, _TLS = pycurl.NAMELOOKUP_TIME_T, pycurl.CONNECT_TIME_T, pycurl.APPCONNECT_TIME_T
_POSTTRANSFER, _STARTTRANSFER = pycurl.POSTTRANSFER_TIME_T, pycurl.STARTTRANSFER_TIME_T
_TOTAL, _QUEUE = pycurl.TOTAL_TIME_T, pycurl.QUEUE_TIME_T
# libcurl counts a request's body in its size, but a response's body not in its header size.
_REQUEST_SIZE, _HEADER_SIZE, _SIZE_DOWNLOAD = pycurl.REQUEST_SIZE, pycurl.HEADER_SIZE, pycurl.SIZE_DOWNLOAD_T
_CONTENT_LENGTH = pycurl.CONTENT_LENGTH_DOWNLOAD_T

_HTTP_VERSION, _HTTP_1_1, _ACTIVE_SOCKET = pycurl.INFO_HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1, pycurl.ACTIVESOCKET

_GO_ON, _ABORT = pycurl.PREREQFUNC_OK, pycurl.PREREQFUNC_ABORT
IDLE_TIMEOUT = -1
"""Error number of fastload's own, beside those of libcurl: nothing was sent or received for the idle timeout."""
CUT_HEADERS = (-2, "the connection was closed within the headers of the response")
"""Error number and text of fastload's own for a response that ends within its headers: to libcurl it is complete."""
SWITCHED = (
    8,  # weird server reply, which pycurl does not name
    "the server switched to another protocol (101), which the request did not ask for",
)
"""Error number and text of a response whose status nobody asked for: to libcurl it is complete."""

GOT_NOTHING = pycurl.E_GOT_NOTHING
"""libcurl's error number for a connection that ended before the first byte of the response."""

NOT_FOLLOWED = pycurl.E_TOO_MANY_REDIRECTS
"""libcurl's error number for a redirect that is not followed."""
BODY_NOT_READ = pycurl.E_READ_ERROR
"""libcurl's error number for a body of a request that cannot be read."""

Measurement = tuple[int, int, int, int, int, int, int, int, int, int, int]
"""Measurement of one finished request, 11 items:

* status; 0 for an invalid response that libcurl does not report as an error: see `Transfer.error_of_response`;
* microseconds since libcurl started the transfer: lookup, connect and TLS done (all three 0 on a reused connection),
  connection ready for the request, request sent, first byte received, last byte received;
* microseconds spent waiting for a free connection;
* bytes sent and bytes received, headers included.

"Ready" is k6's GotConn. It is not libcurl's PRETRANSFER, which libcurl takes after the first write of the request: a
process that loses its CPU between the two would report a time near zero for a request that took milliseconds."""

SENT_BYTES, RECEIVED_BYTES = 9, 10
"""Positions in a `Measurement`."""


class Transfer(Handle):
    """Reusable easy handle. `configure` sets its options once; a request sets only those that changed since the last.

    ``on_done(transfer, error)`` is called when a submitted request ends: *error* is None, or the error number
    (libcurl's or `IDLE_TIMEOUT`) and text. ``done_ns`` is the monotonic time of the end.

    A submitted request is written once. libcurl would write it again, POST included, if a reused connection ends before
    the first byte of the response, and no option switches that off. So libcurl has to ask before each write and before
    each new connection: ``writes`` counts the writes of the submitted request, ``moves`` how often it went to another
    connection before a byte of it was written, ``is_refused`` is set when the answer was no.
    """

    __slots__ = (
        "_answered",
        "_unusable",
        "done_ns",
        "due_ns",
        "is_paused",
        "is_refused",
        "moves",
        "on_done",
        "owner",
        "request_infos",
        "writes",
    )

    on_done: Callable[[Transfer, tuple[int, str] | None], None]
    # Set only on a `PointTransfer`.
    request_infos: RequestInfoTable

    def configure(
        self,
        settings: HttpSettings,
        *,
        cache: ConnectionCache,
        resolve: Iterable[str] = (),
        keep_body: bool,
        number: int = 0,
    ) -> None:
        """Set the options that are the same for all requests of this handle.

        *resolve*: pinned addresses as ``host:port:address[,address]``, so that no lookup happens during the run.
        *number*: the number of the VU, from 1. It selects the source address. VU 1 prints its traffic if
        ``settings.debug`` is set.
        """
        self.owner: Any = None
        self.due_ns = self.done_ns = 0
        self.is_paused = self.is_refused = False
        self.writes = self.moves = 0
        self.configure_handle(settings, cache, resolve, number)
        self.keep_body(keep_body)
        if type(self) is Transfer and any(name.startswith("*") for name in settings.hosts):
            self.__class__ = WildcardTransfer

    def guard_writes(self, engine: Engine, unusable: dict[SocketAddress, UnusableConnection]) -> None:
        """Write each submitted request once, and not on an *unusable* connection, by its local address.

        Called by the *engine* that adopts this handle.
        """
        self._engine = engine
        self._unusable = unusable
        if self._cache.used is not None:
            self._cache.used.on_close = engine.exclude_closed
        self._answered: bytes | None = None
        self.setopt(pycurl.SOCKOPTFUNCTION, self._before_connect)
        self.setopt(pycurl.PREREQFUNCTION, self._before_write)

    def was_written(self) -> bool:
        """Return whether at least one byte of the submitted request went to the kernel."""
        return self.writes > 0 and self.getinfo(_REQUEST_SIZE) > 0

    def move(self) -> None:
        """Prepare the request, of which nothing was written, for another connection."""
        self.moves += self.writes
        self.writes = 0
        self.is_refused = False
        if self._reader is not None:
            self._reader.seek(0, os.SEEK_SET)

    def _before_connect(self, fd: int, _purpose: int) -> int:
        if self.writes and not self._was_answered():
            self.is_refused = True
            return pycurl.SOCKOPT_ERROR
        if self._engine is not None:
            self._engine.announce_socket(fd)
        return pycurl.SOCKOPT_OK

    def _before_write(self, _remote_ip: str, local_ip: str, _remote_port: int, local_port: int) -> int:
        if self.writes or self._unusable or self._answers_challenges:
            return self._judge_write((local_ip, local_port))
        self.writes = 1
        return _GO_ON

    def _judge_write(self, local: SocketAddress) -> int:
        """Return whether a further write, or one on the connection with the address *local*, is allowed."""
        if self.writes:
            if not self._was_answered():
                self.is_refused = True
                return _ABORT
        elif local in self._unusable:
            unusable = self._unusable.pop(local)
            self.is_refused = True
            self.moves += not unusable.is_closed_here
            # After an abort libcurl keeps a connection with HTTP/2. The engine has shut it down, so libcurl's write
            # fails, and libcurl closes it.
            return _GO_ON if unusable.is_multiplexed else _ABORT
        if self._answers_challenges:
            self._answered = self.last_status_line()
        self.writes += 1
        return _GO_ON

    def _was_answered(self) -> bool:
        """Return whether a response has come since the last write: libcurl then answers its challenge."""
        return self._answers_challenges and self.last_status_line() is not self._answered

    # Streamed responses (`client/streamed_request.py`).

    def stream_to(
        self, on_chunk: Callable[[bytes], Any], on_header: Callable[[bytes], Any], lines: Sequence[bytes] | None = None
    ) -> None:
        """Call *on_chunk* with each piece of the body and *on_header* with each header line, as they arrive.

        The callbacks must not raise, and must not call libcurl, except for `pause_receiving`. *lines* is where
        *on_header* puts the lines.
        """
        self.is_paused = False
        self._see_lines(lines)
        self.write_to(on_chunk)
        self.setopt(pycurl.HEADERFUNCTION, on_header)

    def pause_receiving(self) -> None:
        """Stop receiving for now; the server has to wait."""
        self.is_paused = True
        if self._engine is not None:
            self._engine.announce_paused(self, is_paused=True)
        self.pause(pycurl.PAUSE_RECV)

    def resume_receiving(self) -> None:
        """Receive again. libcurl passes the data it has buffered to the callbacks within this call."""
        self.is_paused = False
        if self._engine is not None:
            self._engine.announce_paused(self, is_paused=False)
        self.pause(pycurl.PAUSE_CONT)
        if self._engine is not None:
            self._engine.run_soon()

    def moved_bytes(self) -> int:
        """Return `Handle.moved_bytes`; -1 also while receiving is paused, because then the generator causes the idle
        time."""
        return -1 if self.is_paused else super().moved_bytes()

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: Body | None) -> None:
        """Prepare the next request. *headers* are ``"Name: value"`` lines, without the headers that libcurl adds.

        Raises:
            OSError: a file of *body* cannot be opened.
        """
        if url is not self._url and url != self._url:
            self.setopt(pycurl.URL, url)
            self._url = url
        verb = method if body is None else method + "+"
        if verb != self._method:
            self._set_method(method, body is not None)
            self._method = verb
        if headers is not self._headers and headers != self._headers:
            self._set_headers(headers)
        if body is not None:
            try:
                self.setopt(pycurl.POSTFIELDS, body)
            except TypeError:
                # The type is not tested first, because nearly all bodies are bytes.
                assert not isinstance(body, bytes)
                self._enlarge_buffer()
                self._stream(method, headers, body)
            else:
                if not self._has_large_buffer and len(body) > SMALL_UPLOAD_BYTES:  # type: ignore[arg-type]
                    self._enlarge_buffer()

    def next_url(self) -> str:
        """Return the absolute URL of the last response's Location; "" without one, or if redirects are not followed."""
        raw = self.getinfo_raw(pycurl.REDIRECT_URL) if self.max_redirects else None
        return encode_url(raw.decode("utf-8", "surrogateescape")) if raw else ""

    def error_of_response(self) -> tuple[int, str]:
        """Return the error of the request that just ended, for which `measure` returns status 0 without an error."""
        return SWITCHED if self.has_switched_unasked() else CUT_HEADERS

    def measure(self) -> Measurement:
        """Return libcurl's measurement of the request that just ended."""
        info = self.getinfo
        queue_us, downloaded = info(_QUEUE), info(_SIZE_DOWNLOAD)
        # A body or its announced length comes after complete headers.
        if downloaded or info(_CONTENT_LENGTH) >= 0:
            status = info(_RESPONSE_CODE)
            if self.watches_lines:
                self.stop_watching_lines()
        else:
            status = self.status_of_complete_headers()
        if status == SWITCHING_PROTOCOLS and self.has_switched_unasked():
            status = 0
        if info(_NUM_CONNECTS):
            lookup_us, connect_us, tls_us = info(_LOOKUP), info(_CONNECT), info(_TLS)
            ready_us = tls_us or connect_us
            if self._engine is not None and info(_HTTP_VERSION) > _HTTP_1_1:
                self._engine.announce_multiplexed(info(_ACTIVE_SOCKET))
        else:
            lookup_us = connect_us = tls_us = 0
            ready_us = queue_us
        return (
            status,
            lookup_us,
            connect_us,
            tls_us,
            ready_us,
            info(_POSTTRANSFER),
            info(_STARTTRANSFER),
            info(_TOTAL),
            queue_us,
            info(_REQUEST_SIZE),
            info(_HEADER_SIZE) + downloaded,
        )


class WildcardTransfer(Transfer):
    """Transfer of a run that overrides hosts by wildcards: libcurl has none, so `prepare` checks each new URL."""

    __slots__ = ()

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: Body | None) -> None:
        if url != self._url:
            self._override_host(url)
        super().prepare(method, url, headers, body)
