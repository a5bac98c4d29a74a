"""Base class of `curl_transfer.Transfer`: settings per request, streamed bodies, cookies and details of ended requests.

A plain request uses almost nothing of it. Only `curl.py` and the `curl_*.py` import pycurl.
"""

from __future__ import annotations

import select
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import pycurl

from fastload.load.engine.body_decoder import BodyDecoder, decodes
from fastload.load.engine.curl_options import (
    LARGE_UPLOAD_BYTES,
    SMALL_UPLOAD_BYTES,
    changes,
    connect_to,
    connect_to_wildcard,
    set_all,
    set_auth,
    set_times,
    source_address,
    whole_units,
)
from fastload.load.engine.header_lines import has_end_of_headers
from fastload.load.engine.http_debug import DebugPrinter
from fastload.load.engine.upload import BodyReader
from fastload.load.engine.used_connections import SocketAddress, UsedConnections
from fastload.model.http_settings import Auth, HttpSettings, Multipart, RequestSettings, StreamedBody
from fastload.model.wire_text import curl_text, read_text

_PROTOCOL = {1: "1.0", 2: "1.1", 3: "2", 30: "3"}
_TLS_LINE = b"SSL connection using TLSv"
SWITCHING_PROTOCOLS = 101
_LENGTH_REQUIRED = ("POST", "PUT", "PATCH")
# Of them, `has_end_of_headers` needs the trailers, the end of the headers, and what begins the response.
_LAST_LINES = 64


def keeps_state(auth: Auth | None) -> bool:
    """Return whether a handle keeps authentication state between requests with *auth* (as for digest and NTLM)."""
    return auth is not None and auth.scheme not in ("basic", "bearer")


class ConnectionCache:
    """Connections, cookies and TLS sessions shared by the transfers of one VU, like those of one real user.

    One cache per VU also makes the search for a connection O(1): one pool for 10,000 handles does not scale. Space
    for TLS sessions costs 4 KB, space for cookies 2 KB; a run that does not use them can leave them out.

    ``used`` counts the requests of each connection, in runs that close connections early. ``tls_versions`` has the TLS
    version of the last handshake by the URL's host and port.
    """

    def __init__(self, *, tls: bool = True, cookies: bool = True) -> None:
        self._share = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        if tls:
            self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_SSL_SESSION)
        if cookies:
            self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
        self.used: UsedConnections | None = None
        self._per_iteration = False
        self.tls_versions: dict[str, str] = {}
        self._handles: weakref.WeakSet[Handle] = weakref.WeakSet()

    def attach(self, handle: Handle) -> None:
        handle.setopt(pycurl.SHARE, self._share)

    @staticmethod
    def detach(handle: Handle) -> None:
        """Detach *handle* from the cache that it uses."""
        handle.unsetopt(pycurl.SHARE)

    def limit(self, handle: Handle, settings: HttpSettings) -> None:
        """Count the requests on each connection of this cache if *settings* limit how long a connection is used."""
        if settings.max_connection_requests or settings.connection_reuse == "iteration":
            self.used = self.used or UsedConnections(settings.max_connection_requests)
            self._per_iteration = settings.connection_reuse == "iteration"
            self._handles.add(handle)

    def close_used_up(self, *, multiplexed: bool) -> None:
        """Close connections at their limit of requests; if *multiplexed*, only while no transfer is in flight."""
        if self.used is not None and not (multiplexed and any(one.in_flight for one in self._handles)):
            self.used.close_used_up()

    def begin_iteration(self) -> None:
        """Close the connections of the last iteration, if connections are reused only within an iteration."""
        if self.used is not None and self._per_iteration and not any(one.in_flight for one in self._handles):
            self.used.close_all()

    def close(self) -> None:
        """Close every connection. The transfers attached to this cache must be closed before."""
        self._share.close()


class Engine(Protocol):
    """The part of the engine that a handle uses."""

    def watch_idle(self) -> None: ...
    def run_soon(self) -> None: ...
    def announce_socket(self, fd: int) -> None: ...
    def announce_multiplexed(self, fd: int) -> None: ...
    def exclude(self, fd: int, local: SocketAddress) -> None: ...
    def exclude_closed(self, fd: int, local: SocketAddress) -> None: ...
    def announce_paused(self, transfer: Any, *, is_paused: bool) -> None: ...

    def check_bodies(self) -> None: ...


class Handle(pycurl.Curl):
    """Reusable easy handle with its settings: the base class of `curl_transfer.Transfer`."""

    __slots__ = (
        "_answers_challenges",
        "_cache",
        "_cookie",
        "_declares_no_body",
        "_engine",
        "_has_large_buffer",
        "_headers",
        "_http",
        "_is_verbose",
        "_method",
        "_number",
        "_printer",
        "_reader",
        "_request",
        "_seen_lines",
        "_sink",
        "_source",
        "_uploads_slowly",
        "_url",
        "_watches_tls",
        "chunks",
        "decoder",
        "header_lines",
        "idle_timeout_s",
        "in_flight",
        "max_body_bytes",
        "max_redirects",
        "timeout_s",
        "watches_lines",
    )

    _seen_lines: Sequence[bytes] | None

    # pycurl's own attribute access searches a dict and libcurl's constants before the slots. That takes 500 ns for the
    # six attributes of a request instead of 50 ns: a tenth of the CPU time of a request.
    __getattribute__ = object.__getattribute__
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__

    def configure_handle(
        self, settings: HttpSettings, cache: ConnectionCache, resolve: Iterable[str], number: int
    ) -> None:
        """Set the options that are the same for all requests of this handle; see `Transfer.configure`."""
        self._url = ""
        self._method = "GET"
        self._headers: tuple[str, ...] = ()
        self._http, self._number, self._cache = settings, number, cache
        self._request: RequestSettings | None = None
        self._engine: Engine | None = None
        self._reader: BodyReader | None = None
        self._printer: DebugPrinter | None = None
        self._source = self._cookie = ""
        self.decoder: BodyDecoder | None = None
        self._seen_lines, self.watches_lines = None, False
        self._sink: Callable[[bytes], Any] = len
        self.chunks: list[bytes] = []
        self.header_lines: list[bytes] = []
        self.in_flight = self._has_large_buffer = self._watches_tls = self._is_verbose = False
        self._declares_no_body = False
        cache.attach(self)
        cache.limit(self, settings)
        set_all(self.setopt, settings, pinned=resolve)
        self._set_own(settings)
        if settings.debug and number == 1:
            self._printer = DebugPrinter(full=settings.debug == "full")
            self._be_verbose()
        self._set_headers(())
        if self.decoder is None and not self._answers_challenges:
            self._keep_last_lines()
            self.watches_lines = True

    @property
    def vu_number(self) -> int:
        """The number of the VU, from 1."""
        return self._number

    @property
    def is_bound_to_vu(self) -> bool:
        """Whether the settings of the last request tie this handle to its VU."""
        request = self._request
        return request is not None and (keeps_state(request.auth) or request.source_address is not None)

    def detach_cache(self) -> None:
        """Detach from the VU's cache. `attach_cache` may then give the handle to another VU with the same settings."""
        self._cache.detach(self)

    def attach_cache(self, cache: ConnectionCache, number: int) -> None:
        """Use *cache*, the connections of VU *number*, for the next requests."""
        self._cache, self._number = cache, number
        cache.attach(self)

    def apply(self, request: RequestSettings | None) -> None:
        """Use the settings of *request* for the next requests, and the run's settings for all that it leaves unset.

        None: use only the run's settings.
        """
        if request is self._request:
            return
        changed = changes(self._http, self._request, request)
        for setter in changed.setters:
            setter(self.setopt, changed.settings)
        self._set_own(changed.settings)
        self._request = request

    def _set_own(self, settings: HttpSettings) -> None:
        """Apply the settings that are not plain libcurl options: source address, redirects, timeouts."""
        sources = settings.source_addresses
        source = f"host!{source_address(sources, self._number)}" if sources else ""
        if source != self._source:
            self.setopt(pycurl.INTERFACE, source)
            self._source = source
        self.max_redirects, self.timeout_s = settings.max_redirects, settings.timeout_s
        self.max_body_bytes = settings.max_body_bytes
        # Then libcurl writes a request without credentials, and once more with the answer to the server's challenge.
        self._answers_challenges = keeps_state(settings.auth) or bool(settings.proxy and settings.proxy_auth != "basic")
        if self._answers_challenges and (self._seen_lines is None or self.watches_lines):
            self._keep_last_lines()
        self.idle_timeout_s = settings.idle_timeout_s
        # libcurl 8.23 sends nothing at all if a buffer holds more than the bytes of a second.
        self._uploads_slowly = 0 < settings.upload_bytes_per_s < LARGE_UPLOAD_BYTES
        if self._uploads_slowly and self._has_large_buffer:
            self.setopt(pycurl.UPLOAD_BUFFERSIZE, SMALL_UPLOAD_BYTES)
            self._has_large_buffer = False
        if self.idle_timeout_s and self._engine is not None:
            self._engine.watch_idle()
        if decodes(settings.accept_encoding) or self.decoder is not None:
            self._set_decoder(settings)

    def _set_decoder(self, settings: HttpSettings) -> None:
        """Decode the next bodies, or leave that to libcurl."""
        self.decoder = None
        if decodes(settings.accept_encoding):
            if self._seen_lines is None or self.watches_lines:
                self._keep_last_lines()
            assert self._seen_lines is not None
            self.decoder = BodyDecoder(self._seen_lines, self._sink, settings.max_body_bytes)
            if self._engine is not None:
                self._engine.check_bodies()
        self.write_to(self._sink)

    def send_cookies(self, cookie: str) -> None:
        """Send *cookie*, like ``a=1; b=2``, with the next requests, besides the VU's own cookies; "" for none."""
        if cookie != self._cookie:
            self.setopt(pycurl.COOKIE, curl_text(cookie) or None)
            self._cookie = cookie

    def withhold_credentials(self) -> None:
        """Send no credentials and no cookies of the request, because it goes to another server."""
        self.send_cookies("")
        set_auth(self.setopt, replace(self._http, auth=None))

    def limit_time(self, timeout_s: float) -> None:
        """Give the next request *timeout_s* seconds."""
        self.setopt(pycurl.TIMEOUT_MS, whole_units(timeout_s * 1000))

    def end_redirects(self) -> None:
        """Undo `withhold_credentials` and `limit_time`."""
        settings = changes(self._http, None, self._request).settings
        set_auth(self.setopt, settings)
        set_times(self.setopt, settings)

    def cookie_lines(self) -> list[bytes]:
        """Return the VU's cookies as lines in Netscape's format. A server may have set any bytes."""
        return self.getinfo_raw(pycurl.INFO_COOKIELIST)  # type: ignore[no-any-return]

    def put_cookie(self, line: bytes) -> None:
        """Add a cookie, a line in Netscape's format, to the VU's cookies; b"ALL" deletes all of them."""
        # With VERBOSE libcurl would call the debug callback, and pycurl allows no callback within a setopt.
        self.setopt(pycurl.VERBOSE, 0)
        self.setopt(pycurl.COOKIELIST, line)
        self.setopt(pycurl.VERBOSE, int(self._is_verbose))

    def retry_after_s(self) -> int | None:
        """Return the seconds of the last response's Retry-After header; None without one."""
        return self.getinfo(pycurl.RETRY_AFTER) or None

    def keep_body(self, keep: bool) -> None:
        """Collect the body of each response in ``chunks``, or drop it. Both cost one C call a chunk."""
        self.write_to(self.chunks.append if keep else len)

    def write_to(self, sink: Callable[[bytes], Any]) -> None:
        """Call *sink* with each piece of the body, after decoding it."""
        self._sink = sink
        if self.decoder is not None:
            self.decoder.sink = sink
            sink = self.decoder.feed
        self.setopt(pycurl.WRITEFUNCTION, sink)

    def keep_headers(self) -> None:
        """Collect the raw header lines of each response in ``header_lines``."""
        self._see_lines(self.header_lines)
        self.setopt(pycurl.HEADERFUNCTION, self.header_lines.append)

    def status_of_complete_headers(self) -> int:
        """Return the status of the request that just ended; 0 if the connection was closed within the headers.

        libcurl takes such a response for a complete one, so the header lines have to tell. To get them costs 1 us a
        request. A handle gets those of its first responses, until one has a body or a length. It gets them again from
        a response on that may be cut. That one is judged by its connection, which libcurl has kept although the peer
        has closed it.
        """
        status = self.status()
        if not status or self.protocol() not in ("1.0", "1.1"):
            return status
        lines = self._seen_lines
        if lines is None:
            self._keep_last_lines()
            is_complete = not self._peer_has_closed()
        else:
            is_complete = has_end_of_headers(lines)
        if not is_complete and self._engine is not None:
            # libcurl has kept the connection.
            self._engine.exclude(self.getinfo(pycurl.ACTIVESOCKET), self.local_address())
        return status if is_complete else 0

    def last_status_line(self) -> bytes | None:
        """Return the last status line that was received; None without one, or if no lines are kept."""
        return next((line for line in reversed(self._seen_lines or ()) if line.startswith(b"HTTP/")), None)

    def stop_watching_lines(self) -> None:
        """Get no more header lines for `status_of_complete_headers`."""
        self._seen_lines, self.watches_lines = None, False
        self.unsetopt(pycurl.HEADERFUNCTION)

    def _see_lines(self, lines: Sequence[bytes] | None) -> None:
        self._seen_lines, self.watches_lines = lines, False
        if self.decoder is not None:
            self.decoder.lines = () if lines is None else lines

    def _keep_last_lines(self) -> None:
        last_lines = deque[bytes](maxlen=_LAST_LINES)
        self._see_lines(last_lines)
        self.setopt(pycurl.HEADERFUNCTION, last_lines.append)

    def _peer_has_closed(self) -> bool:
        """Return whether the peer has closed the connection of the last request, which libcurl has kept."""
        fd = self.getinfo(pycurl.ACTIVESOCKET)
        poll = select.poll()
        poll.register(max(0, fd), select.POLLRDHUP)
        return fd >= 0 and bool(poll.poll(0))

    def _override_host(self, url: str) -> None:
        """Connect to the address that the run's ``hosts`` (names or wildcards) give for the host of *url*."""
        parts, hosts = urlsplit(url), self._http.hosts
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        entries = connect_to_wildcard(parts.hostname or "", port, hosts) or connect_to(hosts)
        if entries:
            self.setopt(pycurl.CONNECT_TO, entries)
        else:
            self.unsetopt(pycurl.CONNECT_TO)

    def take_headers(self) -> list[bytes]:
        """Return and clear the raw header lines of the last response and of redirects before it, with status lines."""
        lines = self.header_lines.copy()
        self.header_lines.clear()
        return lines

    def take_body(self) -> bytes:
        """Return and clear the collected body of the last response; empty when bodies are dropped."""
        chunks = self.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        return body

    def drop_parts(self) -> None:
        """Drop what was collected of a response that nobody will read."""
        self.chunks.clear()
        self.header_lines.clear()

    def os_errno(self) -> int:
        """Return the operating system's error number (errno) of a failed connect; 0 without one."""
        return self.getinfo(pycurl.OS_ERRNO)  # type: ignore[no-any-return]

    def status(self) -> int:
        """Return the status of the last response; 0 without one."""
        return self.getinfo(pycurl.RESPONSE_CODE)  # type: ignore[no-any-return]

    def has_switched_unasked(self) -> bool:
        """Return whether the server has switched to another protocol, and the request did not ask for that.

        libcurl takes what follows for the body.
        """
        return self.status() == SWITCHING_PROTOCOLS and not any(
            line.lower().startswith("upgrade:") for line in self._headers
        )

    def header_bytes(self) -> int:
        """Return the bytes of the headers of all responses to the last request."""
        return self.getinfo(pycurl.HEADER_SIZE)  # type: ignore[no-any-return]

    def is_in_handshake(self) -> bool:
        """Return whether the last request ended in the TLS handshake, after connecting and before anything was sent."""
        sent = self.getinfo(pycurl.APPCONNECT_TIME_T) or self.getinfo(pycurl.REQUEST_SIZE)
        return not sent and self.effective_url().lower().startswith(("https://", "wss://"))

    def effective_url(self) -> str:
        """Return the URL that answered, after redirects; the requested text if it is not a valid URL."""
        try:
            return read_text(self.getinfo_raw(pycurl.EFFECTIVE_URL))
        except pycurl.error:
            return self._url

    def protocol(self) -> str:
        """Return the HTTP version of the last response: "1.0", "1.1", "2" or "3"; "" without a response."""
        return _PROTOCOL.get(self.getinfo(pycurl.INFO_HTTP_VERSION), "")

    def remote_address(self) -> SocketAddress:
        """Return the peer's ``(ip, port)``; ``("", 0)`` without a connection."""
        return self.getinfo(pycurl.PRIMARY_IP), max(0, self.getinfo(pycurl.PRIMARY_PORT))

    def local_address(self) -> SocketAddress:
        """Return the generator's ``(ip, port)`` of the connection."""
        return self.getinfo(pycurl.LOCAL_IP), max(0, self.getinfo(pycurl.LOCAL_PORT))

    def keep_tls_version(self) -> None:
        """Make `tls_version` available. libcurl reports it only in its verbose output, at about 10 us a request."""
        self._be_verbose()

    def watch_tls_version(self, url: str) -> None:
        """Make `tls_version` available after the next request, to *url*. Verbose output is on only until the first
        handshake with the host, so later requests cost nothing more."""
        unknown = urlsplit(url).netloc not in self._cache.tls_versions
        if unknown != self._watches_tls:
            self._watches_tls = unknown
            if unknown:
                self._be_verbose()
            elif self._printer is None:
                self._is_verbose = False
                self.setopt(pycurl.VERBOSE, 0)

    def tls_version(self) -> str:
        """Return the TLS version, like "1.3", of the VU's last handshake with the requested host; "" without TLS, or if
        neither `keep_tls_version` nor `watch_tls_version` was called before that handshake."""
        return self._cache.tls_versions.get(urlsplit(self._url).netloc, "")

    def proxy_status(self) -> int:
        """Return the status of the proxy's answer to the last CONNECT; 0 without one."""
        return self.getinfo(pycurl.HTTP_CONNECTCODE)  # type: ignore[no-any-return]

    def moved_bytes(self) -> int:
        """Return how many bytes the request in flight has sent and received; -1 before it has a connection."""
        info = self.getinfo
        if not self.connected():
            return -1
        sent = info(pycurl.REQUEST_SIZE) + info(pycurl.SIZE_UPLOAD_T)
        return sent + info(pycurl.HEADER_SIZE) + info(pycurl.SIZE_DOWNLOAD_T)  # type: ignore[no-any-return]

    def volumes(self) -> tuple[int, int]:
        """Return the bytes that the last request has sent and received, headers included."""
        info = self.getinfo
        return info(pycurl.REQUEST_SIZE), info(pycurl.HEADER_SIZE) + info(pycurl.SIZE_DOWNLOAD_T)

    def count_connection(self) -> None:
        """Count the request that just ended on its connection."""
        used, fd, connection = self._cache.used, self.getinfo(pycurl.ACTIVESOCKET), self.getinfo(pycurl.CONN_ID)
        if used is not None and fd >= 0 and connection >= 0:
            used.count_request(connection, fd, self.local_address())

    def close_used_up_connections(self) -> None:
        """Close the VU's connections that have reached their limit of requests."""
        self._cache.close_used_up(multiplexed=self.protocol() in ("2", "3"))

    @property
    def counts_connections(self) -> bool:
        return self._cache.used is not None

    def _be_verbose(self) -> None:
        self._is_verbose = True
        self.setopt(pycurl.VERBOSE, 1)
        self.setopt(pycurl.DEBUGFUNCTION, self._on_debug)

    def _on_debug(self, kind: int, data: bytes) -> None:
        if kind == pycurl.INFOTYPE_TEXT and data.startswith(_TLS_LINE):
            version = data.removeprefix(_TLS_LINE).split(maxsplit=1)[0].decode()
            self._cache.tls_versions[urlsplit(self._url).netloc] = version
        if self._printer is not None:
            self._printer(kind, data)

    def _enlarge_buffer(self) -> None:
        """Use the large upload buffer from now on."""
        if not self._has_large_buffer and not self._uploads_slowly:
            self.setopt(pycurl.UPLOAD_BUFFERSIZE, LARGE_UPLOAD_BYTES)
            self._has_large_buffer = True

    def _stream(self, method: str, headers: tuple[str, ...], body: StreamedBody) -> None:
        reader = self._reader = BodyReader(body)
        self.setopt(pycurl.UPLOAD, 1)
        self.setopt(pycurl.INFILESIZE_LARGE, reader.size_bytes)
        self.setopt(pycurl.READFUNCTION, reader.read)
        self.setopt(pycurl.SEEKFUNCTION, reader.seek)
        self.setopt(pycurl.CUSTOMREQUEST, method)
        if isinstance(body, Multipart) and not any(line.lower().startswith("content-type:") for line in headers):
            self._set_headers((*headers, f"Content-Type: {body.content_type}"))
        # Not a valid method, so that the next request always sets its own.
        self._method = ""

    def _end_stream(self) -> None:
        self._reader = None
        self.unsetopt(pycurl.READFUNCTION)
        self.unsetopt(pycurl.SEEKFUNCTION)

    def connected(self) -> bool:
        """Return whether the last request got a connection."""
        # A reused connection has the connect time 0, but the size of the sent request is not 0. (PRETRANSFER does not
        # help: libcurl also sets it when it gives up.)
        return bool(self.getinfo(pycurl.CONNECT_TIME_T) or self.getinfo(pycurl.REQUEST_SIZE))

    def _set_method(self, method: str, has_body: bool) -> None:
        if self._reader is not None:
            self._end_stream()
        self.setopt(pycurl.NOBODY, 0)
        self.setopt(pycurl.HTTPGET, 1)
        self.unsetopt(pycurl.CUSTOMREQUEST)
        if has_body:
            self.setopt(pycurl.POST, 1)
        if method == "HEAD":
            self.setopt(pycurl.NOBODY, 1)
        elif method != ("POST" if has_body else "GET"):
            self.setopt(pycurl.CUSTOMREQUEST, method)
        declares_no_body = not has_body and method in _LENGTH_REQUIRED
        if declares_no_body != self._declares_no_body:
            self._declares_no_body = declares_no_body
            self._set_headers(self._headers)

    def _set_headers(self, headers: tuple[str, ...]) -> None:
        # Otherwise libcurl would send "Expect: 100-continue" before a body over 1 MB and wait up to a second.
        lines = ["Expect:", *headers]
        if self._declares_no_body and not any(line.lower().startswith("content-length") for line in headers):
            # RFC 9110, section 8.6: strict servers answer 411 to such a method without a length.
            lines.append("Content-Length: 0")
        try:
            self.setopt(pycurl.HTTPHEADER, lines)
        except UnicodeEncodeError:
            self.setopt(pycurl.HTTPHEADER, [curl_text(line) for line in lines])
        self._headers = headers
