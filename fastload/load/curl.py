"""libcurl on an event loop: the only module that imports pycurl.

`CurlEngine` drives any number of `Transfer`s (reusable easy handles) through one CurlMulti. It keeps to
five rules, each measured (`docs/architecture.md` has the figures):

* A socket stays registered between requests: libcurl's add and remove of every request is ignored. A closed
  descriptor leaves the poller by itself, and every new one is announced by libcurl's socket-option hook, so a
  reused number is never taken for the connection that had it before.
* All sockets hang on one poller of the engine's own; the event loop watches that single descriptor, and one
  wake-up drains everything that is ready.
* Timers are lazy: an armed timer that fires early enough is left alone.
* What finished is read once a wake-up, in bulk.
* libcurl is never entered from inside one of its callbacks.
"""

from __future__ import annotations

import asyncio
import contextvars
import select
import weakref
from collections.abc import Callable, Generator, Iterable
from time import monotonic_ns
from typing import Any

import pycurl

from fastload.load.poller import EpollPoller
from fastload.model.http import HttpSettings

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_MASK_OF_POLL = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}
_POLL_REMOVE = pycurl.POLL_REMOVE
_SOCKET_TIMEOUT = pycurl.SOCKET_TIMEOUT
_SELECT_IN, _SELECT_OUT, _SELECT_ERR = pycurl.CSELECT_IN, pycurl.CSELECT_OUT, pycurl.CSELECT_ERR
_SELECT_OF_EVENTS = [
    (_SELECT_IN if events & (_IN | select.EPOLLHUP) else 0)
    | (_SELECT_OUT if events & _OUT else 0)
    | (_SELECT_ERR if events & select.EPOLLERR else 0)
    for events in range(32)
]
_FINISHED_A_READ = 100_000
_EARLY_S = 0.0005
# How often one wake-up may start and finish work again before other callbacks of the loop get their turn.
_ROUNDS_A_WAKE_UP = 3

_HTTP_VERSION = {
    "": pycurl.CURL_HTTP_VERSION_NONE,
    "1.1": pycurl.CURL_HTTP_VERSION_1_1,
    "2": pycurl.CURL_HTTP_VERSION_2TLS,
    "2-prior": pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
    "3": pycurl.CURL_HTTP_VERSION_3ONLY,
}

_RESPONSE_CODE, _NUM_CONNECTS = pycurl.RESPONSE_CODE, pycurl.NUM_CONNECTS
_LOOKUP, _CONNECT, _TLS = pycurl.NAMELOOKUP_TIME_T, pycurl.CONNECT_TIME_T, pycurl.APPCONNECT_TIME_T
_POSTTRANSFER, _STARTTRANSFER = pycurl.POSTTRANSFER_TIME_T, pycurl.STARTTRANSFER_TIME_T
_TOTAL, _QUEUE = pycurl.TOTAL_TIME_T, pycurl.QUEUE_TIME_T
# libcurl counts a request's body in its size, but a response's body not in its header size.
_REQUEST_SIZE, _HEADER_SIZE, _SIZE_DOWNLOAD = pycurl.REQUEST_SIZE, pycurl.HEADER_SIZE, pycurl.SIZE_DOWNLOAD_T

Measurement = tuple[int, int, int, int, int, int, int, int, int, int, int]
"""Of one finished request: status; then microseconds since libcurl took it up: lookup, connect and TLS done (all
three 0 on a reused connection), connection ready for the request, request sent, first byte received, all received;
microseconds it waited for a free connection; bytes sent and received, headers included.

"Ready" is k6's GotConn. It is not libcurl's PRETRANSFER, which is taken after the request's first write: a process
that loses its CPU between the two would report a time near zero for a request that took milliseconds."""


class ConnectionCache:
    """Connections, cookies and TLS sessions that some transfers share: those of one VU, as a user has them.

    Its own cache for every VU also makes finding a connection O(1): 10,000 handles in one pool do not scale.
    """

    def __init__(self) -> None:
        self._share = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_SSL_SESSION)
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)

    def attach(self, transfer: Transfer) -> None:
        transfer.setopt(pycurl.SHARE, self._share)

    def close(self) -> None:
        """Close every idle connection; the transfers that used it must be closed before."""
        self._share.close()


class Transfer(pycurl.Curl):
    """One reusable easy handle. Settings are made once; a request sets only what changed since the last.

    ``on_done(transfer, error)`` is called when a submitted request ends: *error* is None, or libcurl's error
    number and text.
    """

    __slots__ = (
        "_headers",
        "_method",
        "_url",
        "chunks",
        "done_ns",
        "due_ns",
        "header_lines",
        "in_flight",
        "on_done",
        "owner",
    )

    on_done: Callable[[Transfer, tuple[int, str] | None], None]

    # pycurl's own attribute access keeps a dict and looks there, and among libcurl's constants, before the slots:
    # 500 ns for the six attributes of a request instead of 50, a tenth of all that a request costs.
    __getattribute__ = object.__getattribute__
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__

    def configure(
        self, settings: HttpSettings, *, cache: ConnectionCache, resolve: Iterable[str] = (), keep_body: bool
    ) -> None:
        """Set what stays the same over all requests of this handle.

        *resolve*: pinned addresses as ``host:port:address[,address]``, so that no lookup happens during the run.
        """
        self._url = ""
        self._method = "GET"
        self._headers: tuple[str, ...] = ()
        self.owner: Any = None
        self.due_ns = self.done_ns = 0
        self.in_flight = False
        self.chunks: list[bytes] = []
        self.header_lines: list[bytes] = []
        set_ = self.setopt
        cache.attach(self)
        set_(pycurl.NOSIGNAL, 1)
        set_(pycurl.HTTP_VERSION, _HTTP_VERSION[settings.http_version])
        set_(pycurl.USERAGENT, settings.user_agent)
        set_(pycurl.TIMEOUT_MS, round(settings.timeout_s * 1000))
        set_(pycurl.CONNECTTIMEOUT_MS, round(settings.timeout_s * 1000))
        set_(pycurl.FOLLOWLOCATION, int(settings.max_redirects > 0))
        set_(pycurl.MAXREDIRS, settings.max_redirects)
        set_(pycurl.SSL_VERIFYPEER, int(settings.verify_tls))
        set_(pycurl.SSL_VERIFYHOST, 2 if settings.verify_tls else 0)
        set_(pycurl.PROXY, "")
        if settings.ca_file:
            set_(pycurl.CAINFO, settings.ca_file)
        if settings.cookies:
            set_(pycurl.COOKIEFILE, "")
        if pinned := list(resolve):
            set_(pycurl.RESOLVE, pinned)
        self.keep_body(keep_body)
        self._set_headers(())

    def keep_body(self, keep: bool) -> None:
        """Collect the bytes of each response in ``chunks``, or drop them. Both cost one C call a chunk."""
        self.setopt(pycurl.WRITEFUNCTION, self.chunks.append if keep else len)

    def keep_headers(self) -> None:
        """Collect the raw header lines of each response in ``header_lines``."""
        self.setopt(pycurl.HEADERFUNCTION, self.header_lines.append)

    def take_headers(self) -> list[bytes]:
        """The raw header lines of the last response (and of redirects before it), status lines included."""
        lines = self.header_lines.copy()
        self.header_lines.clear()
        return lines

    def take_body(self) -> bytes:
        """The collected body of the last response, whole; empty when bodies are dropped."""
        chunks = self.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        return body

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: bytes | None) -> None:
        """Make this the next request. *headers* are ``"Name: value"`` lines, without those of libcurl's own."""
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
            self.setopt(pycurl.POSTFIELDS, body)

    def measure(self) -> Measurement:
        """What libcurl measured of the request that just ended."""
        info = self.getinfo
        queue_us = info(_QUEUE)
        if info(_NUM_CONNECTS):
            lookup_us, connect_us, tls_us = info(_LOOKUP), info(_CONNECT), info(_TLS)
            ready_us = tls_us or connect_us
        else:
            lookup_us = connect_us = tls_us = 0
            ready_us = queue_us
        return (
            info(_RESPONSE_CODE),
            lookup_us,
            connect_us,
            tls_us,
            ready_us,
            info(_POSTTRANSFER),
            info(_STARTTRANSFER),
            info(_TOTAL),
            queue_us,
            info(_REQUEST_SIZE),
            info(_HEADER_SIZE) + info(_SIZE_DOWNLOAD),
        )

    def os_errno(self) -> int:
        """The operating system's error number of a failed connect, 0 without one."""
        return self.getinfo(pycurl.OS_ERRNO)  # type: ignore[no-any-return]

    def connected(self) -> bool:
        """Whether the last request ever got a connection."""
        # The connect time of a reused connection is 0, but a request is sent on it. (PRETRANSFER says nothing:
        # libcurl also sets it when it gives up.)
        return bool(self.getinfo(pycurl.CONNECT_TIME_T) or self.getinfo(_REQUEST_SIZE))

    def _set_method(self, method: str, has_body: bool) -> None:
        self.setopt(pycurl.NOBODY, 0)
        self.setopt(pycurl.HTTPGET, 1)
        self.unsetopt(pycurl.CUSTOMREQUEST)
        if has_body:
            self.setopt(pycurl.POST, 1)
        if method == "HEAD":
            self.setopt(pycurl.NOBODY, 1)
        elif method != ("POST" if has_body else "GET"):
            self.setopt(pycurl.CUSTOMREQUEST, method)

    def _set_headers(self, headers: tuple[str, ...]) -> None:
        # libcurl would ask "Expect: 100-continue" before a body over 1 MB and wait up to a second for it.
        self.setopt(pycurl.HTTPHEADER, ["Expect:", *headers])
        self._headers = headers


class Response:
    """Awaits the end of one submitted transfer, and wakes its task at once.

    It follows asyncio's protocol for foreign futures, so that the task goes on within the engine's own wake-up
    and not one turn of the loop later: that saves about 1 us a request over an `asyncio.Future`. ``error`` is
    set, as in ``on_done``, when the await returns.
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
        self._wake_up: Callable[[Response], None] | None = None
        self._context: contextvars.Context
        self._cancelled = False
        self.error: tuple[int, str] | None = None
        transfer.on_done = self._on_done

    def __await__(self) -> Generator[Response, None, None]:
        self._cancelled = False
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, wake_up: Callable[[Response], None], *, context: contextvars.Context) -> None:
        """The task's way to hear of the end; *context* is the task's, in which it must go on."""
        self._wake_up = wake_up
        self._context = context

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002 - asyncio passes it by place or by name
        """The task is cancelled: give the transfer up and let the task know in the next turn of the loop."""
        self._engine.cancel(self._transfer)
        self._cancelled = True
        if self._wake_up is not None:
            self._loop.call_soon(self._wake_up, self, context=self._context)
            self._wake_up = None
        return True

    def result(self) -> None:
        """For the task.

        Raises:
            CancelledError: it was cancelled while waiting.
        """
        if self._cancelled:
            raise asyncio.CancelledError

    def _on_done(self, _transfer: Transfer, error: tuple[int, str] | None) -> None:
        self.error = error
        wake_up, self._wake_up = self._wake_up, None
        if wake_up is not None:
            self._context.run(wake_up, self)


class CurlEngine:
    """Runs transfers on *loop*. One a worker; used from the loop's own thread only.

    ``in_flight``: requests submitted and not yet ended.

    Hazards it answers: a descriptor number that is reused, a server that closes an idle connection, timers of
    -1, resolver sockets; each has a test in ``tests/load/test_curl.py``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._poller = EpollPoller()
        # Mask by descriptor; negative while the connection is idle, 0 once announced but not yet watched.
        self._masks: dict[int, int] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s: float | None = None
        self._kicked = False
        self._draining = False
        self._transfers: weakref.WeakSet[Transfer] = weakref.WeakSet()
        self._add_handle = self._multi.add_handle
        self._remove_handle = self._multi.remove_handle
        self.in_flight = 0
        loop.add_reader(self._poller.fileno(), self._on_ready)

    def adopt(self, transfer: Transfer) -> None:
        """Make *transfer* usable with this engine; once, before its first `submit`."""
        transfer.setopt(pycurl.SOCKOPTFUNCTION, self._on_new_socket)
        self._transfers.add(transfer)

    def submit(self, transfer: Transfer) -> None:
        """Start the prepared request; its ``on_done`` is called once, from the loop."""
        transfer.in_flight = True
        self.in_flight += 1
        self._add_handle(transfer)

    def cancel(self, transfer: Transfer) -> bool:
        """Give up on a submitted request; its ``on_done`` is not called. False when it has ended already."""
        if not transfer.in_flight:
            return False
        self._detach(transfer)
        return True

    def cancel_all(self) -> list[Transfer]:
        """Give up on everything in flight and return it."""
        given_up = [transfer for transfer in self._transfers if transfer.in_flight]
        for transfer in given_up:
            self.cancel(transfer)
        return given_up

    def close(self) -> None:
        """Detach from the loop and free the multi handle. Transfers in flight are given up first: a multi that
        is freed with handles attached can crash."""
        self.cancel_all()
        self._loop.remove_reader(self._poller.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._multi.close()
        self._poller.close()

    # What libcurl calls. None of these may raise: an exception here would abort every transfer of the multi.

    def _on_new_socket(self, fd: int, _purpose: int) -> int:
        self._masks[fd] = 0
        return pycurl.SOCKOPT_OK

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        masks = self._masks
        known = masks.get(fd)
        if what == _POLL_REMOVE:
            if known is None:
                self._poller.forget(fd)
            elif known > 0:
                masks[fd] = -known
            return
        mask = _MASK_OF_POLL.get(what, 0)
        if known is None:
            # Not announced by `_on_new_socket`: a socketpair of the resolver, which is gone within one lookup.
            self._poller.add(fd, mask)
        elif known == 0:
            self._poller.add(fd, mask)
            masks[fd] = mask
        elif known == -mask:
            masks[fd] = mask
        elif known != mask:
            self._poller.change(fd, mask)
            masks[fd] = mask

    def _on_timer(self, timeout_ms: int) -> None:
        if timeout_ms == 0:
            if not self._kicked:
                self._kicked = True
                if not self._draining:
                    self._loop.call_soon(self._on_kick)
        elif timeout_ms < 0:
            self._deadline_s = None
        else:
            self._deadline_s = self._loop.time() + timeout_ms / 1000
            if self._timer is None:
                self._timer = self._loop.call_later(timeout_ms / 1000, self._on_deadline)
            elif self._timer.when() > self._deadline_s + _EARLY_S:
                self._timer.cancel()
                self._timer = self._loop.call_later(timeout_ms / 1000, self._on_deadline)

    # What the loop calls.

    def _on_deadline(self) -> None:
        self._timer = None
        if self._deadline_s is None:
            return
        left_s = self._deadline_s - self._loop.time()
        if left_s > _EARLY_S:
            self._timer = self._loop.call_later(left_s, self._on_deadline)
            return
        self._deadline_s = None
        self._kicked = True
        self._drain()

    def _on_kick(self) -> None:
        if self._kicked:
            self._drain()

    def _on_ready(self) -> None:
        self._draining = True
        action = self._multi.socket_action
        masks = self._masks
        for fd, events in self._poller.wait():
            if masks.get(fd, 1) > 0:
                action(fd, _SELECT_OF_EVENTS[events & 31])
            else:
                # The server closed, or wrote to, a connection that no request uses. libcurl finds out when it
                # wants that connection next; until then a watched descriptor would wake the loop for ever.
                masks[fd] = 0
                self._poller.forget(fd)
        self._drain()

    def _drain(self) -> None:
        self._draining = True
        multi = self._multi
        for _ in range(_ROUNDS_A_WAKE_UP):
            if self._kicked:
                self._kicked = False
                multi.socket_action(_SOCKET_TIMEOUT, 0)
            _, finished, failed = multi.info_read(_FINISHED_A_READ)
            if finished:
                now_ns = monotonic_ns()
                for transfer in finished:
                    self._end(transfer, now_ns, None)
            if failed:
                now_ns = monotonic_ns()
                for transfer, code, text in failed:
                    self._end(transfer, now_ns, (code, text))
            if not self._kicked:
                break
        self._draining = False
        if self._kicked:
            self._loop.call_soon(self._on_kick)

    def _end(self, transfer: Any, now_ns: int, error: tuple[int, str] | None) -> None:
        if transfer.in_flight:
            self._detach(transfer)
            transfer.done_ns = now_ns
            transfer.on_done(transfer, error)

    def _detach(self, transfer: Transfer) -> None:
        transfer.in_flight = False
        self.in_flight -= 1
        self._remove_handle(transfer)


def versions() -> dict[str, str]:
    """Of libcurl and of pycurl."""
    return {"pycurl": pycurl.version.split()[0].partition("/")[2], "libcurl": pycurl.version_info()[1]}


def supports(http_version: str) -> bool:
    """Whether this libcurl speaks *http_version* (of `HttpSettings`)."""
    needed = {"2": "VERSION_HTTP2", "2-prior": "VERSION_HTTP2", "3": "VERSION_HTTP3"}.get(http_version)
    return needed is None or bool(pycurl.version_info()[4] & getattr(pycurl, needed))
