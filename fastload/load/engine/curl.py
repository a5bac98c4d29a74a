"""Engine: runs libcurl transfers on an asyncio event loop. Only this module and the other `curl_*.py` import pycurl.

`CurlEngine` drives any number of `Transfer`s (reusable easy handles) through one CurlMulti. It follows
five rules, each measured (`docs/architecture.md` has the figures):

* A socket stays registered between requests: the engine ignores libcurl's add and remove of every request. The
  kernel removes a closed descriptor from the poller. libcurl's socket-option callback announces every new
  descriptor, so the engine never confuses a reused number with the old connection.
* All sockets are registered with one poller of the engine. The event loop watches only the poller's descriptor,
  and one wake-up handles every socket that is ready.
* The engine asks libcurl for its next time-out once a wake-up. libcurl's timer callback would come three times a
  request. Timers are lazy: the engine does not re-arm a timer that fires early enough.
* Finished transfers are read in bulk, once a wake-up.
* The engine never calls libcurl from inside one of libcurl's callbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import weakref
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import pycurl

from fastload.load.engine.curl_handle import Handle
from fastload.load.engine.curl_transfer import GOT_NOTHING, IDLE_TIMEOUT, Transfer
from fastload.load.engine.curl_websocket import WebSocketTransfer
from fastload.load.engine.error_kinds import NO_ANSWER, error_of_curl
from fastload.load.engine.idle_watch import IdleWatch
from fastload.load.engine.poller import EpollPoller
from fastload.load.engine.used_connections import SocketAddress, UnusableConnection
from fastload.model.wire_text import shown

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
_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
READABLE, WRITABLE = _IN, _OUT
_FINISHED_A_READ = 100_000
_EARLY_S = 0.0005
# How many times one wake-up may start new transfers and read finished ones before other callbacks of the loop run.
_ROUNDS_A_WAKE_UP = 3
_MOST_MOVES = 20


class CurlEngine:
    """Engine of one worker: runs transfers on *loop*. Call it only from the thread of *loop*.

    ``in_flight``: the number of submitted requests that have not ended. ``on_adopt``: a callback that gets each
    adopted transfer; runs that record points use it to change the transfers.

    Hazards that it handles: a reused descriptor number, a server that closes an idle connection, a timeout of -1
    from libcurl, sockets of the resolver. Each has a test in ``tests/load/engine/test_curl.py``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._poller = EpollPoller()
        # Poll mask by descriptor: negative while the connection is idle, 0 when announced but not yet watched.
        self._poll_masks: dict[int, int] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s: float | None = None
        # Whether a transfer waits for libcurl's next run, which `_drain` makes.
        self._run_due = False
        self._draining = False
        # Descriptors of connections with HTTP/2 or 3.
        self._multiplexed: set[int] = set()
        # Connections that must carry no further request, by their local address; and these addresses by descriptor.
        self._unusable: dict[SocketAddress, UnusableConnection] = {}
        self._unusable_by_fd: dict[int, SocketAddress] = {}
        self._paused: weakref.WeakSet[Transfer] = weakref.WeakSet()
        self._transfers: weakref.WeakSet[Transfer] = weakref.WeakSet()
        self._open_websockets: dict[WebSocketTransfer, None] = {}
        self._websocket_by_fd: dict[int, WebSocketTransfer] = {}
        self._next_timeout_ms = self._multi.timeout
        self._add_handle = self._multi.add_handle
        self._remove_handle = self._multi.remove_handle
        self._idle: IdleWatch | None = None
        self._end_unchecked: Callable[[Any, int, tuple[int, str] | None], None] | None = None
        self.on_adopt: Callable[[Transfer], None] | None = None
        self.in_flight = 0
        loop.add_reader(self._poller.fileno(), self._drain)

    def adopt(self, transfer: Transfer) -> None:
        """Make *transfer* usable with this engine. Call it once, before the first `submit` of *transfer*."""
        self._transfers.add(transfer)
        transfer.guard_writes(self, self._unusable)
        # Features that only some runs use replace a method, so they cost other runs nothing.
        if self.on_adopt is not None:
            self.on_adopt(transfer)
        if transfer.counts_connections and self._end_unchecked is None:
            self._end = self._end_counted  # type: ignore[method-assign]
        if transfer.decoder is not None:
            self.check_bodies()
        if transfer.idle_timeout_s:
            self.watch_idle()

    def watch_idle(self) -> None:
        """From now on, end transfers that send and receive nothing for their idle timeout."""
        if self._idle is None:
            self._idle = IdleWatch(self._loop, self._give_up)
            self.submit = self._submit_watched  # type: ignore[method-assign]

    def check_bodies(self) -> None:
        """From now on, look whether the bodies that handles decode are complete."""
        if self._end_unchecked is None:
            self._end_unchecked = self._end
            self._end = self._end_checked  # type: ignore[method-assign]

    def submit(self, transfer: Transfer) -> None:
        """Start the prepared request. The loop calls its ``on_done`` once."""
        transfer.in_flight = True
        transfer.writes = transfer.moves = 0
        transfer.is_refused = False
        self.in_flight += 1
        self._add_handle(transfer)
        if not self._run_due:
            self.run_soon()

    def run_soon(self) -> None:
        """Let libcurl go on with its transfers: in this wake-up, or else in the next turn of the loop."""
        self._run_due = True
        if not self._draining:
            self._loop.call_soon(self._on_run_due)

    def cancel(self, transfer: Transfer) -> bool:
        """Cancel a submitted request without a call of its ``on_done``. Return False if it has already ended."""
        if not transfer.in_flight:
            return False
        self._detach(transfer)
        if transfer.decoder is not None:
            transfer.decoder.reset()
        return True

    def finish(self, transfer: Transfer) -> None:
        """End a submitted request now, as if it were complete, and call its ``on_done`` at once."""
        if transfer.decoder is not None:
            transfer.decoder.reset()
        self._end(transfer, monotonic_ns(), None)

    def cancel_all(self) -> list[Transfer]:
        """Cancel all transfers in flight and return them."""
        given_up = [transfer for transfer in self._transfers if transfer.in_flight]
        for transfer in given_up:
            self.cancel(transfer)
        return given_up

    def close(self) -> None:
        """Detach from the loop and free the multi handle. Transfers in flight are cancelled first, because freeing a
        multi handle with attached easy handles can crash."""
        self.cancel_all()
        if self._idle is not None:
            self._idle.close()
        for transfer in list(self._open_websockets):
            self.close_socket(transfer)
        self._loop.remove_reader(self._poller.fileno())
        if self._timer is not None:
            self._timer.cancel()
        # The end of a transfer can close the engine, in the middle of `_drain`.
        self._run_due, self._next_timeout_ms = False, _never
        self._multi.close()
        self._poller.close()

    # WebSockets: the handle stays attached while its connection is used. Removing the handle closes the connection.

    def open_socket(self, transfer: WebSocketTransfer) -> None:
        """Start the handshake. ``on_done`` is called once, when the handshake has ended."""
        transfer.connecting = True
        self._open_websockets[transfer] = None
        self._add_handle(transfer)
        self.run_soon()

    def watch(self, transfer: WebSocketTransfer, mask: int) -> None:
        """Call ``on_ready`` each time the socket is ready for *mask* (`READABLE`, `WRITABLE` or both; 0 for never)."""
        fd = transfer.fd
        if fd < 0:
            fd = transfer.fd = transfer.getinfo(pycurl.ACTIVESOCKET)
            self._websocket_by_fd[fd] = transfer
            # From now on the events of this socket go to the WebSocket and not to libcurl: see `_serve_ready`.
            self._poll_masks[fd] = 0
        if mask:
            self._poller.add(fd, mask)
        else:
            self._poller.forget(fd)

    def close_socket(self, transfer: WebSocketTransfer) -> None:
        """Cancel the handshake or close the connection. A second call does nothing."""
        if transfer in self._open_websockets:
            del self._open_websockets[transfer]
            transfer.connecting = False
            if transfer.fd >= 0:
                del self._websocket_by_fd[transfer.fd]
                self._poller.forget(transfer.fd)
            self._remove_handle(transfer)

    def has_socket(self, fd: int) -> bool:
        """Return whether *fd* is that of a connection, or was and has been closed since."""
        return fd in self._poll_masks

    # Callbacks of libcurl. None of these may raise: an exception here would abort every transfer of the multi.

    def announce_socket(self, fd: int) -> None:
        """Note that *fd* is a new socket of libcurl: the number may have been that of an older one."""
        self._poll_masks[fd] = 0
        self._multiplexed.discard(fd)
        before = self._unusable_by_fd.pop(fd, None)
        if before is not None and before in self._unusable and self._unusable[before].fd == fd:
            # libcurl has closed it, and its local address is free for another connection.
            del self._unusable[before]

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        masks = self._poll_masks
        known = masks.get(fd)
        if what == _POLL_REMOVE:
            if known is None:
                self._poller.forget(fd)
            elif known > 0:
                masks[fd] = -known
            return
        mask = _MASK_OF_POLL.get(what, 0)
        if known is None:
            # Not announced by `_on_new_socket`: a socketpair of the resolver, which exists only during one lookup.
            self._poller.add(fd, mask)
        elif known == 0:
            self._poller.add(fd, mask)
            masks[fd] = mask
        elif known == -mask:
            masks[fd] = mask
        elif known != mask:
            self._poller.change(fd, mask)
            masks[fd] = mask

    def exclude(self, fd: int, local: SocketAddress) -> None:
        """Write no further request to the connection *fd* with the local address *local*."""
        self._unusable.setdefault(local, UnusableConnection(fd, fd in self._multiplexed, is_closed_here=False))
        self._unusable_by_fd[fd] = local

    def exclude_closed(self, fd: int, local: SocketAddress) -> None:
        """As `exclude`, for a connection that the script's settings close: to leave it is no retry."""
        self._unusable[local] = UnusableConnection(fd, fd in self._multiplexed, is_closed_here=True)
        self._unusable_by_fd[fd] = local

    def announce_paused(self, transfer: Transfer, *, is_paused: bool) -> None:
        """Note whether *transfer* receives nothing for now: what arrives on its connection is not unasked."""
        if is_paused:
            self._paused.add(transfer)
        else:
            self._paused.discard(transfer)

    def announce_multiplexed(self, fd: int) -> None:
        """Note that *fd* is a connection with HTTP/2 or 3, on which data may arrive while no request uses it."""
        self._multiplexed.add(fd)

    # Callbacks of the event loop.

    def _on_deadline(self) -> None:
        self._timer = None
        if self._deadline_s is None:
            return
        left_s = self._deadline_s - self._loop.time()
        if left_s > _EARLY_S:
            self._timer = self._loop.call_later(left_s, self._on_deadline)
            return
        self._deadline_s = None
        self._run_due = True
        self._drain()

    def _on_run_due(self) -> None:
        if self._run_due:
            self._drain()

    def _serve_ready(self) -> None:
        """Let libcurl read and write on each socket that is ready."""
        action = self._multi.socket_action
        masks = self._poll_masks
        for fd, events in self._poller.wait():
            if masks.get(fd, 1) > 0:
                action(fd, _SELECT_OF_EVENTS[events & 31])
            elif fd in self._websocket_by_fd:
                self._websocket_by_fd[fd].on_ready(events)
            elif masks[fd] < 0:
                self._on_idle_event(fd, events)

    def _look_at_idle(self) -> None:
        """Notice idle connections that the server has just closed, before the next requests are written.

        Sockets with a response wait for the next wake-up: to read them now would make smaller rounds, which cost more.
        """
        masks = self._poll_masks
        for fd, events in self._poller.wait():
            if masks.get(fd, 1) < 0:
                self._on_idle_event(fd, events)

    def _on_idle_event(self, fd: int, events: int) -> None:
        """Close the connection *fd*, which no request uses, if the server has closed it, or has sent an answer unasked.
        libcurl would write the next request to it, or take those bytes for the next response.
        """
        if self._paused and self._is_paused(fd):
            # libcurl asks for this socket again when the transfer goes on.
            self._poll_masks[fd] = 0
            self._poller.forget(fd)
            return
        try:
            connection = socket.socket(fileno=fd)
        except OSError:
            # libcurl has closed it within this wake-up.
            return
        try:
            pending = _pending(connection)
            if pending is None and not events & _ENDED:
                # What had arrived was read within this wake-up; or it may be written, which is no event.
                self._watch_idle(fd, _IN)
            elif fd in self._multiplexed and not events & _ENDED and pending:
                self._watch_idle(fd, select.EPOLLRDHUP)
            else:
                self.exclude(fd, connection.getsockname()[:2])
                # libcurl looks at it only when it needs a connection. The server sees the end now.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                # Watched further, it would wake the loop until libcurl closes it.
                self._poll_masks[fd] = 0
                self._poller.forget(fd)
        finally:
            connection.detach()

    def _is_paused(self, fd: int) -> bool:
        return any(one.is_paused and one.in_flight and one.getinfo(pycurl.ACTIVESOCKET) == fd for one in self._paused)

    def _watch_idle(self, fd: int, mask: int) -> None:
        self._poller.change(fd, mask)
        self._poll_masks[fd] = -mask

    def _drain(self) -> None:
        self._draining = True
        multi = self._multi
        self._serve_ready()
        for number in range(_ROUNDS_A_WAKE_UP):
            if number and self._run_due:
                self._look_at_idle()
            if self._run_due or self._next_timeout_ms() == 0:
                self._run_due = False
                multi.socket_action(_SOCKET_TIMEOUT, 0)
            _, finished, failed = multi.info_read(_FINISHED_A_READ)
            if finished:
                now_ns = monotonic_ns()
                for transfer in finished:
                    self._end(transfer, now_ns, None)
            if failed:
                now_ns = monotonic_ns()
                for transfer, code, text in failed:
                    # pycurl has the bytes of a redirect that are no UTF-8 as surrogates, which no frame takes.
                    self._end_failed(transfer, now_ns, code, shown(text))
            if not self._run_due:
                break
        self._draining = False
        self._arm_timer(0 if self._run_due else self._next_timeout_ms())

    def _arm_timer(self, timeout_ms: int) -> None:
        """Run libcurl again in *timeout_ms* milliseconds; -1 for no time-out."""
        if timeout_ms == 0:
            self.run_soon()
        elif timeout_ms < 0:
            self._deadline_s = None
        else:
            self._deadline_s = self._loop.time() + timeout_ms / 1000
            if self._timer is None:
                self._timer = self._loop.call_later(timeout_ms / 1000, self._on_deadline)
            elif self._timer.when() > self._deadline_s + _EARLY_S:
                self._timer.cancel()
                self._timer = self._loop.call_later(timeout_ms / 1000, self._on_deadline)

    def _end(self, transfer: Any, now_ns: int, error: tuple[int, str] | None) -> None:
        if transfer.in_flight:
            self._detach(transfer)
            transfer.done_ns = now_ns
            transfer.on_done(transfer, error)
        elif transfer in self._open_websockets and transfer.connecting:
            transfer.connecting = False
            transfer.done_ns = now_ns
            transfer.on_done(transfer, error)

    def _end_failed(self, transfer: Any, now_ns: int, code: int, text: str) -> None:
        """End *transfer* with libcurl's error, unless nothing of its request was written: then it is sent again."""
        if not transfer.is_refused or not transfer.in_flight:
            self._end(transfer, now_ns, error_of_curl(transfer, code, text))
        elif transfer.was_written() or transfer.moves >= _MOST_MOVES:
            self._end(transfer, now_ns, (GOT_NOTHING, NO_ANSWER))
        else:
            # Nothing of the request was written, so it goes to another connection.
            transfer.move()
            self._remove_handle(transfer)
            self._add_handle(transfer)
            self._run_due = True

    def _end_counted(self, transfer: Any, now_ns: int, error: tuple[int, str] | None) -> None:
        if transfer.in_flight:
            transfer.count_connection()
            self._detach(transfer)
            # This must come before `on_done`, which can start the next request.
            transfer.close_used_up_connections()
            transfer.done_ns = now_ns
            transfer.on_done(transfer, error)
        else:
            CurlEngine._end(self, transfer, now_ns, error)

    def _end_checked(self, transfer: Any, now_ns: int, error: tuple[int, str] | None) -> None:
        assert self._end_unchecked is not None
        if transfer.decoder is not None:
            error = transfer.decoder.end(error)
        self._end_unchecked(transfer, now_ns, error)

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


def _pending(connection: socket.socket) -> bytes | None:
    """Return a byte that has arrived on *connection* and was not read, b"" if it has ended, None for nothing."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _never() -> int:
    return -1
