"""libcurl on an event loop: with `curl_handle.py` and `curl_options.py` the only module that imports pycurl.

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
from typing import TYPE_CHECKING, Any

import pycurl

from fastload.load.engine.curl_handle import ConnectionCache as ConnectionCache
from fastload.load.engine.curl_handle import Handle
from fastload.load.engine.curl_options import SMALL_UPLOAD_BYTES
from fastload.load.engine.idle_watch import IdleWatch
from fastload.load.engine.poller import EpollPoller
from fastload.model.http_settings import Body, HttpSettings

if TYPE_CHECKING:
    from fastload.load.engine.curl_websocket import WebSocketTransfer
    from fastload.load.engine.point_transfer import FactTable

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
READABLE, WRITABLE = _IN, _OUT
_FINISHED_A_READ = 100_000
_EARLY_S = 0.0005
# How often one wake-up may start and finish work again before other callbacks of the loop get their turn.
_ROUNDS_A_WAKE_UP = 3

_RESPONSE_CODE, _NUM_CONNECTS = pycurl.RESPONSE_CODE, pycurl.NUM_CONNECTS
_LOOKUP, _CONNECT, _TLS = pycurl.NAMELOOKUP_TIME_T, pycurl.CONNECT_TIME_T, pycurl.APPCONNECT_TIME_T
_POSTTRANSFER, _STARTTRANSFER = pycurl.POSTTRANSFER_TIME_T, pycurl.STARTTRANSFER_TIME_T
_TOTAL, _QUEUE = pycurl.TOTAL_TIME_T, pycurl.QUEUE_TIME_T
# libcurl counts a request's body in its size, but a response's body not in its header size.
_REQUEST_SIZE, _HEADER_SIZE, _SIZE_DOWNLOAD = pycurl.REQUEST_SIZE, pycurl.HEADER_SIZE, pycurl.SIZE_DOWNLOAD_T

IDLE_TIMEOUT = -1
"""The number of an error that libcurl has none for: nothing was sent or received for the idle timeout."""

Measurement = tuple[int, int, int, int, int, int, int, int, int, int, int]
"""Of one finished request: status; then microseconds since libcurl took it up: lookup, connect and TLS done (all
three 0 on a reused connection), connection ready for the request, request sent, first byte received, all received;
microseconds it waited for a free connection; bytes sent and received, headers included.

"Ready" is k6's GotConn. It is not libcurl's PRETRANSFER, which is taken after the request's first write: a process
that loses its CPU between the two would report a time near zero for a request that took milliseconds."""


class Transfer(Handle):
    """One reusable easy handle. Settings are made once; a request sets only what changed since the last.

    ``on_done(transfer, error)`` is called when a submitted request ends: *error* is None, or libcurl's error
    number and text.
    """

    __slots__ = (
        "done_ns",
        "due_ns",
        "facts",
        "held",
        "on_done",
        "owner",
    )

    on_done: Callable[[Transfer, tuple[int, str] | None], None]
    # Only `PointTransfer` has them.
    facts: FactTable

    def configure(
        self,
        settings: HttpSettings,
        *,
        cache: ConnectionCache,
        resolve: Iterable[str] = (),
        keep_body: bool,
        number: int = 0,
    ) -> None:
        """Set what stays the same over all requests of this handle.

        *resolve*: pinned addresses as ``host:port:address[,address]``, so that no lookup happens during the run.
        *number* is the VU's: source addresses are dealt by it, and the first one shows what it sends, where *settings*
        want that.
        """
        self.owner: Any = None
        self.due_ns = self.done_ns = 0
        self.held = False
        self.settle(settings, cache, resolve, number)
        self.keep_body(keep_body)
        if type(self) is Transfer and any(name.startswith("*") for name in settings.hosts):
            self.__class__ = WildcardTransfer

    # For bodies that are read while they come (`stream.py`).

    def stream_to(self, on_chunk: Callable[[bytes], Any], on_header: Callable[[bytes], Any]) -> None:
        """Hand over each piece of the body, and each header line, as it comes. Neither may raise, nor start anything
        with libcurl but `hold`."""
        self.held = False
        self.setopt(pycurl.WRITEFUNCTION, on_chunk)
        self.setopt(pycurl.HEADERFUNCTION, on_header)

    def hold(self) -> None:
        """Receive nothing more for now: the server has to wait."""
        self.held = True
        self.pause(pycurl.PAUSE_RECV)

    def go_on(self) -> None:
        """Receive again. What libcurl has in hand is handed over within the call."""
        self.held = False
        self.pause(pycurl.PAUSE_CONT)

    def moved_bytes(self) -> int:
        """As of every handle; -1 also while it is held: that nothing comes is this side's doing."""
        return -1 if self.held else super().moved_bytes()

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: Body | None) -> None:
        """Make this the next request. *headers* are ``"Name: value"`` lines, without those of libcurl's own.

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
                # Not asked before, because bytes are what nearly all requests send.
                assert not isinstance(body, bytes)
                self._make_room()
                self._stream(method, headers, body)
            else:
                if not self._is_roomy and len(body) > SMALL_UPLOAD_BYTES:  # type: ignore[arg-type]
                    self._make_room()

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


class WildcardTransfer(Transfer):
    """One whose run overrides hosts by wildcards, which libcurl does not know: each new URL is looked at."""

    __slots__ = ()

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: Body | None) -> None:
        if url != self._url:
            self._override_host(url)
        super().prepare(method, url, headers, body)


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

    ``in_flight``: requests submitted and not yet ended. ``on_adopt`` is called with each transfer that it adopts: for
    what only some runs want of all of them.

    Hazards it answers: a descriptor number that is reused, a server that closes an idle connection, timers of
    -1, resolver sockets; each has a test in ``tests/load/engine/test_curl.py``.
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
        self._sockets: dict[WebSocketTransfer, None] = {}
        self._watched: dict[int, WebSocketTransfer] = {}
        self._add_handle = self._multi.add_handle
        self._remove_handle = self._multi.remove_handle
        self._idle: IdleWatch | None = None
        self.on_adopt: Callable[[Transfer], None] | None = None
        self.in_flight = 0
        loop.add_reader(self._poller.fileno(), self._on_ready)

    def adopt(self, transfer: Transfer) -> None:
        """Make *transfer* usable with this engine; once, before its first `submit`."""
        transfer.setopt(pycurl.SOCKOPTFUNCTION, self._on_new_socket)
        self._transfers.add(transfer)
        transfer.bind(self)
        # What only some runs want takes the place of a method: so it costs the others nothing.
        if self.on_adopt is not None:
            self.on_adopt(transfer)
        if transfer.counts_connections:
            self._end = self._end_counted  # type: ignore[method-assign]
        if transfer.idle_timeout_s:
            self.watch_idle()

    def watch_idle(self) -> None:
        """From now on, give up on transfers for which nothing is sent or received for their idle timeout."""
        if self._idle is None:
            self._idle = IdleWatch(self._loop, self._give_up)
            self.submit = self._submit_watched  # type: ignore[method-assign]

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

    def finish(self, transfer: Transfer) -> None:
        """End a submitted request as it stands, as if it were complete; its ``on_done`` is called at once."""
        self._end(transfer, monotonic_ns(), None)

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
        if self._idle is not None:
            self._idle.close()
        for transfer in list(self._sockets):
            self.close_socket(transfer)
        self._loop.remove_reader(self._poller.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._multi.close()
        self._poller.close()

    # For WebSockets: a handle stays attached for as long as its connection is used. Removing it closes the connection.

    def open_socket(self, transfer: WebSocketTransfer) -> None:
        """Start the handshake; ``on_done`` is called once when it is over."""
        transfer.connecting = True
        self._sockets[transfer] = None
        self._add_handle(transfer)

    def watch(self, transfer: WebSocketTransfer, mask: int) -> None:
        """Call ``on_ready`` when the socket is ready for *mask* (of `READABLE` and `WRITABLE`; 0 for never)."""
        fd = transfer.fd
        if fd < 0:
            fd = transfer.fd = transfer.getinfo(pycurl.ACTIVESOCKET)
            self._watched[fd] = transfer
            # What libcurl watched it for is over.
            self._masks[fd] = 0
        if mask:
            self._poller.add(fd, mask)
        else:
            self._poller.forget(fd)

    def close_socket(self, transfer: WebSocketTransfer) -> None:
        """Give the handshake up, or close the connection; once more does nothing."""
        if transfer in self._sockets:
            del self._sockets[transfer]
            transfer.connecting = False
            if transfer.fd >= 0:
                del self._watched[transfer.fd]
                self._poller.forget(transfer.fd)
            self._remove_handle(transfer)

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
            elif fd in self._watched:
                self._watched[fd].on_ready(events)
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
        elif transfer in self._sockets and transfer.connecting:
            transfer.connecting = False
            transfer.done_ns = now_ns
            transfer.on_done(transfer, error)

    def _end_counted(self, transfer: Any, now_ns: int, error: tuple[int, str] | None) -> None:
        if transfer.in_flight:
            transfer.count_connection()
            self._detach(transfer)
            # Before the next request begins.
            transfer.close_worn_connections()
            transfer.done_ns = now_ns
            transfer.on_done(transfer, error)
        else:
            CurlEngine._end(self, transfer, now_ns, error)

    def _submit_watched(self, transfer: Transfer) -> None:
        CurlEngine.submit(self, transfer)
        assert self._idle is not None
        self._idle.begin(transfer)

    def _give_up(self, transfer: Handle, text: str) -> None:
        self._end(transfer, monotonic_ns(), (IDLE_TIMEOUT, text))

    def _detach(self, transfer: Transfer) -> None:
        transfer.in_flight = False
        self.in_flight -= 1
        self._remove_handle(transfer)
