"""Transfer: the reusable libcurl handle of requests, and its measurement of each request.

Only `curl.py` and the `curl_*.py` import pycurl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pycurl

from fastload.load.engine.curl_handle import ConnectionCache, Handle
from fastload.load.engine.curl_options import SMALL_UPLOAD_BYTES
from fastload.load.engine.request_info import RequestInfoTable
from fastload.model.http_settings import Body, HttpSettings

_RESPONSE_CODE, _NUM_CONNECTS = pycurl.RESPONSE_CODE, pycurl.NUM_CONNECTS
_LOOKUP, _CONNECT, _TLS = pycurl.NAMELOOKUP_TIME_T, pycurl.CONNECT_TIME_T, pycurl.APPCONNECT_TIME_T
_POSTTRANSFER, _STARTTRANSFER = pycurl.POSTTRANSFER_TIME_T, pycurl.STARTTRANSFER_TIME_T
_TOTAL, _QUEUE = pycurl.TOTAL_TIME_T, pycurl.QUEUE_TIME_T
# libcurl counts a request's body in its size, but a response's body not in its header size.
_REQUEST_SIZE, _HEADER_SIZE, _SIZE_DOWNLOAD = pycurl.REQUEST_SIZE, pycurl.HEADER_SIZE, pycurl.SIZE_DOWNLOAD_T
_CONTENT_LENGTH = pycurl.CONTENT_LENGTH_DOWNLOAD_T

IDLE_TIMEOUT = -1
"""Error number of fastload's own, beside those of libcurl: nothing was sent or received for the idle timeout."""
CUT_HEADERS = (-2, "the connection was closed within the headers of the response")
"""Error number and text of fastload's own for a response whose `measure` has status 0: to libcurl it is complete."""

Measurement = tuple[int, int, int, int, int, int, int, int, int, int, int]
"""Measurement of one finished request, 11 items:

* status; 0 if the headers of the response were cut, which libcurl does not report as an error;
* microseconds since libcurl started the transfer: lookup, connect and TLS done (all three 0 on a reused connection),
  connection ready for the request, request sent, first byte received, last byte received;
* microseconds spent waiting for a free connection;
* bytes sent and bytes received, headers included.

"Ready" is k6's GotConn. It is not libcurl's PRETRANSFER, which libcurl takes after the first write of the request: a
process that loses its CPU between the two would report a time near zero for a request that took milliseconds."""


class Transfer(Handle):
    """Reusable easy handle. `configure` sets its options once; a request sets only those that changed since the last.

    ``on_done(transfer, error)`` is called when a submitted request ends: *error* is None, or the error number
    (libcurl's or `IDLE_TIMEOUT`) and text. ``done_ns`` is the monotonic time of the end.
    """

    __slots__ = (
        "done_ns",
        "due_ns",
        "is_paused",
        "on_done",
        "owner",
        "request_infos",
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
        self.is_paused = False
        self.configure_handle(settings, cache, resolve, number)
        self.keep_body(keep_body)
        if type(self) is Transfer and any(name.startswith("*") for name in settings.hosts):
            self.__class__ = WildcardTransfer

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
        self.pause(pycurl.PAUSE_RECV)

    def resume_receiving(self) -> None:
        """Receive again. libcurl passes the data it has buffered to the callbacks within this call."""
        self.is_paused = False
        self.pause(pycurl.PAUSE_CONT)

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

    def measure(self) -> Measurement:
        """Return libcurl's measurement of the request that just ended."""
        info = self.getinfo
        queue_us, downloaded = info(_QUEUE), info(_SIZE_DOWNLOAD)
        if info(_NUM_CONNECTS):
            lookup_us, connect_us, tls_us = info(_LOOKUP), info(_CONNECT), info(_TLS)
            ready_us = tls_us or connect_us
            if self.watches_lines and (downloaded or info(_CONTENT_LENGTH) >= 0):
                self.stop_watching_lines()
        else:
            lookup_us = connect_us = tls_us = 0
            ready_us = queue_us
        return (
            # A body or its announced length comes after complete headers.
            info(_RESPONSE_CODE) if downloaded or info(_CONTENT_LENGTH) >= 0 else self.status_of_complete_headers(),
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
